//! Opens the door; everything else stands in the library.

fn main() -> std::process::ExitCode {
    uplift::cli::main()
}
