//! The program: see `dialbridge --help`.

/// That of glibc keeps what calls have used when they are over; this one gives it back within seconds.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    dialbridge::run()
}
