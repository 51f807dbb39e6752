//! Names of trunks that are aliases of others (RFC 1034 §3.6.2), looked up by the real binary.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

use std::process::Command;
use testbed::Records;

/// What `check --online` finds for a trunk at `example.test`.
fn looked_up(records: Records) -> String {
    let names = records.serve([127, 0, 0, 1].into());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let text = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\nresolvers = [\"{}\"]\n\
         [[trunks]]\nname = \"carrier\"\naddress = \"sip:example.test\"\nnumbers = [\"+918065978015\"]\n",
        names.address
    );
    std::fs::write(&file, text).unwrap();
    let output =
        Command::new(testbed::binary()).args(["check", "--online", "--config"]).arg(&file).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_behind_an_alias_counts_for_each_kind_of_record() {
    let elsewhere = || Records::default().host("example.test", &[[127, 0, 0, 9].into()]);
    let target = |records: Records| records.host("edge.other.test", &[[127, 0, 0, 5].into()]);
    let of_srv = target(elsewhere())
        .alias("_sip._udp.example.test", "_sip._udp.other.test")
        .srv("_sip._udp.other.test", &[(1, 5061, "edge.other.test")]);
    let of_an_alias = target(elsewhere())
        .alias("_sip._udp.example.test", "one.test")
        .alias("one.test", "two.test")
        .srv("two.test", &[(1, 5061, "edge.other.test")]);
    let of_naptr = target(Records::default())
        .alias("example.test", "other.test")
        .naptr("other.test", &[(10, "SIP+D2U", "_sip._udp.other.test")])
        .srv("_sip._udp.other.test", &[(1, 5061, "edge.other.test")]);
    for records in [of_srv, of_an_alias, of_naptr] {
        let found = looked_up(records);
        assert!(found.contains("127.0.0.5:5061") && !found.contains("127.0.0.9"), "{found}");
    }
    let of_address =
        Records::default().alias("example.test", "edge.test").host("edge.test", &[[127, 0, 0, 7].into()]);
    let found = looked_up(of_address);
    assert!(found.contains("127.0.0.7:5060"), "{found}");
    let circle =
        elsewhere().alias("_sip._udp.example.test", "one.test").alias("one.test", "_sip._udp.example.test");
    let found = looked_up(circle);
    assert!(found.contains("127.0.0.9:5060"), "there is no SRV record at its end: {found}");
}
