//! What a measurement is asked for and what it answers, the same for all systems.
//!
//! A measurement is one process: `PROGRAM measure CASE SYSTEM STORE DURABILITY SIZE FOLDER [URL]`. It prints its
//! figures as JSON, one a line, and exits with 0; or says on standard error why not, and exits with something else.

mod allocator;
mod ask;
mod dag;
mod figure;
mod marks;
mod memory;
mod stats;

pub use ask::{Ask, Durability, Size, Store};
pub use dag::{PASSES, Shape};
pub use figure::{Figure, rate};
pub use marks::Marks;
pub use memory::{peak_since_reset, reset_peak, resident};
pub use stats::{median, percentile};

/// Any error: a measurement only reports it.
pub type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The value that steps pass on: 100 bytes of text.
pub const VALUE: &str =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz..";
const _: () = assert!(VALUE.len() == 100);

/// Measures what the arguments of this process ask for and prints it: the `main` of a program that measures one system.
pub fn main(measure: impl FnOnce(&Ask) -> Fallible<Vec<Figure>>) -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let measured = Ask::parse(&arguments).and_then(|ask| measure(&ask));
    match measured {
        Ok(figures) => {
            for figure in figures {
                println!("{}", figure.to_line());
            }
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because {cause}");
                source = cause.source();
            }
            std::process::ExitCode::FAILURE
        }
    }
}
