//! Log lines on their way to standard error. Logging never waits and never fails: lines queue up to a bound, a thread of
//! its own writes them, and lines that are lost are counted and reported once writing works again.

use super::{LogFormat, STATE};
use parking_lot::{Condvar, Mutex};
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// Octets that may wait; further lines are lost.
const WAITING_MAX: usize = 4 * 1024 * 1024;
/// Octets of an empty buffer that are kept for the next lines.
const CAPACITY_KEPT: usize = 64 * 1024;
/// Octets that a pipe takes whole (`PIPE_BUF`), so that the lines of several programs do not mix in it.
const PIECE: usize = 4096;
/// Before another try when the output takes nothing just now.
const PAUSE: Duration = Duration::from_millis(10);

/// The lines that wait to be written. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    came: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    /// Lines that found no room behind `text`.
    lost: u64,
    /// Lines have been taken from here and are not written yet.
    taken: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.lost == 0
    }
}

impl Lines {
    /// Begins to write these lines to `output`, in a thread that ends with the process.
    ///
    /// # Errors
    /// When the operating system gives no thread; lines are lost then.
    pub(super) fn write_to(&self, output: impl Write + Send + 'static, format: LogFormat) -> io::Result<()> {
        let lines = self.clone();
        let mut output = Output { to: output, format, lost: 0, torn: false };
        let write = move || {
            let mut text = Vec::new();
            loop {
                let overflowed = lines.take(&mut text);
                output.put(&text, overflowed);
                text.clear();
                text.shrink_to(CAPACITY_KEPT);
                lines.written();
            }
        };
        thread::Builder::new().name("log".into()).spawn(write).map(drop)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.0.waiting.lock();
        if waiting.text.len() + line.len() > WAITING_MAX {
            waiting.lost += count(line);
        } else {
            waiting.text.extend_from_slice(line);
        }
        drop(waiting);
        self.0.came.notify_one();
    }

    /// Waits for lines and swaps them into `text`, which is empty; gives how many were lost after them.
    fn take(&self, text: &mut Vec<u8>) -> u64 {
        let mut waiting = self.0.waiting.lock();
        self.0.came.wait_while(&mut waiting, |waiting| waiting.is_empty());
        std::mem::swap(&mut waiting.text, text);
        waiting.taken = true;
        std::mem::take(&mut waiting.lost)
    }

    fn written(&self) {
        self.0.waiting.lock().taken = false;
        self.0.written.notify_all();
    }

    /// Waits until every line is written or lost, up to `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let mut waiting = self.0.waiting.lock();
        let unwritten = |waiting: &mut Waiting| waiting.taken || !waiting.is_empty();
        // What is not written by then is lost with the process.
        let _in_time = self.0.written.wait_while_for(&mut waiting, unwritten, limit);
    }
}

impl Write for Lines {
    /// Takes a whole line; never fails, never waits for the output.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where lines go to.
struct Output<W> {
    to: W,
    format: LogFormat,
    /// Lines that nobody has been told are lost.
    lost: u64,
    /// Writing broke off in the middle of a line.
    torn: bool,
}

impl<W: Write> Output<W> {
    /// Writes lines, of which `overflowed` more are lost.
    fn put(&mut self, lines: &[u8], overflowed: u64) {
        self.tell_of_lost();
        self.lost += self.write(lines) + overflowed;
        self.tell_of_lost();
    }

    fn tell_of_lost(&mut self) {
        if self.lost > 0 && self.write(notice(self.format, self.lost).as_bytes()) == 0 {
            self.lost = 0;
        }
    }

    /// Gives how many lines did not get out.
    fn write(&mut self, lines: &[u8]) -> u64 {
        if self.torn && self.write_through(b"\n") > 0 {
            return count(lines);
        }
        self.write_through(lines)
    }

    fn write_through(&mut self, mut rest: &[u8]) -> u64 {
        while !rest.is_empty() {
            match self.to.write(piece(rest)) {
                Ok(0) => return count(rest),
                Ok(octets) => {
                    self.torn = !rest[..octets].ends_with(b"\n");
                    rest = &rest[octets..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Err(_) => return count(rest),
            }
        }
        0
    }
}

fn count(text: &[u8]) -> u64 {
    text.iter().map(|octet| u64::from(*octet == b'\n')).sum()
}

/// The whole lines that a pipe takes at once, or the first one if it is longer.
fn piece(rest: &[u8]) -> &[u8] {
    let newline = |octet: &u8| *octet == b'\n';
    let small = rest[..rest.len().min(PIECE)].iter().rposition(newline);
    let end = small.or_else(|| rest.iter().position(newline));
    end.map_or(rest, |end| &rest[..=end])
}

/// The line that says that lines are lost, in the form that the others have.
fn notice(format: LogFormat, lost: u64) -> String {
    const MESSAGE: &str = "log lines could not be written and are lost";
    let mut moment = String::new();
    // A clock that cannot be printed leaves no mark.
    let _unprintable = SystemTime.format_time(&mut Writer::new(&mut moment));
    match format {
        LogFormat::Text => format!("{moment}  WARN {STATE}: {MESSAGE} lines={lost}\n"),
        LogFormat::Json => {
            let fields = serde_json::json!({
                "timestamp": moment, "level": "WARN", "message": MESSAGE, "lines": lost, "target": STATE,
            });
            format!("{fields}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Instant;

    /// An output with so much room.
    #[derive(Default)]
    struct Disk {
        room: usize,
        held: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            let taken = octets.len().min(self.room);
            self.room -= taken;
            self.held.extend_from_slice(&octets[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn output(format: LogFormat) -> Output<Disk> {
        Output { to: Disk::default(), format, lost: 0, torn: false }
    }

    fn held(output: &Output<Disk>) -> Vec<&str> {
        std::str::from_utf8(&output.to.held).unwrap().lines().collect()
    }

    #[test]
    fn lost_lines_are_counted_and_told_of_once_when_there_is_room_again() {
        let mut output = output(LogFormat::Text);
        output.put(b"one\ntwo\n", 0);
        output.put(b"three\n", 4);
        assert_eq!(held(&output), Vec::<&str>::new());
        output.to.room = 1000;
        output.put(b"four\n", 0);
        output.put(b"five\n", 0);
        let held = held(&output);
        assert_eq!((held.len(), &held[1..]), (3, &["four", "five"][..]));
        assert!(
            held[0].ends_with("WARN dialbridge::state: log lines could not be written and are lost lines=7")
        );
    }

    #[test]
    fn lines_that_found_no_room_in_the_queue_are_told_of_where_they_are_missing() {
        let mut output = output(LogFormat::Json);
        output.to.room = 1000;
        output.put(b"{}\n", 2);
        let held = held(&output);
        let notice: serde_json::Value = serde_json::from_str(held[1]).unwrap();
        assert_eq!((held.len(), held[0], &notice["lines"]), (2, "{}", &2.into()));
        assert_eq!((&notice["level"], &notice["target"]), (&"WARN".into(), &"dialbridge::state".into()));
    }

    #[test]
    fn a_line_that_broke_off_does_not_spoil_the_next() {
        let mut output = output(LogFormat::Text);
        output.to.room = 6;
        output.put(b"one\ntwo\nthree\n", 0);
        output.to.room = 1000;
        output.put(b"four\n", 0);
        let held = held(&output);
        assert_eq!((held[0], held[1], held[3]), ("one", "tw", "four"));
        assert!(held[2].ends_with("lines=2"), "{}", held[2]);
    }

    #[test]
    fn pieces_end_with_a_line() {
        let long = [vec![b'x'; 5000], vec![b'\n']].concat();
        let short = vec![b'y'; 4090];
        let text = [&b"a\nb\n"[..], &short, b"\n", &long, b"c\n"].concat();
        let mut rest = &text[..];
        let mut lengths = Vec::new();
        while !rest.is_empty() {
            let piece = piece(rest);
            lengths.push(piece.len());
            rest = &rest[piece.len()..];
        }
        assert_eq!(lengths, [4095, 5001, 2]);
        assert_eq!(piece(b"no end"), b"no end");
    }

    /// An output that takes one piece for each permit.
    struct Slow(mpsc::Receiver<()>, mpsc::Sender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.send(octets.to_vec()).map_err(io::Error::other)?;
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_output_that_takes_nothing_keeps_nobody_waiting_and_the_queue_is_bounded() {
        let ((permit, permits), (tell, told)) = (mpsc::channel(), mpsc::channel());
        let mut lines = Lines::default();
        lines.write_to(Slow(permits, tell), LogFormat::Text).unwrap();
        lines.write_all(b"first\n").unwrap();
        // The thread has it in hand, and hangs.
        while !lines.0.waiting.lock().taken {
            thread::yield_now();
        }
        let line = [vec![b'x'; 1023], vec![b'\n']].concat();
        for _ in 0..WAITING_MAX / 1024 + 3 {
            lines.write_all(&line).unwrap();
        }
        let waiting = lines.0.waiting.lock();
        assert_eq!((waiting.text.len(), waiting.lost), (WAITING_MAX, 3));
        drop(waiting);
        let asked = Instant::now();
        lines.flush(Duration::from_millis(50));
        assert!((50..5000).contains(&asked.elapsed().as_millis()), "{:?}", asked.elapsed());

        for _ in 0..WAITING_MAX / PIECE + 2 {
            permit.send(()).unwrap();
        }
        lines.flush(Duration::from_secs(60));
        let told: Vec<Vec<u8>> = told.try_iter().collect();
        assert_eq!((&told[0][..], told.len()), (&b"first\n"[..], WAITING_MAX / PIECE + 2));
        assert!(told.last().unwrap().ends_with(b" lines=3\n"));
    }
}
