//! The program: see `dialbridge --help`.

fn main() -> std::process::ExitCode {
    dialbridge::run()
}
