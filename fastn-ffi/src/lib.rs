//! The C ABI of fastn: see `include/fastn.h`.
//!
//! The only crate of the workspace where `unsafe` may be written. So far it tells the version and the meaning of error
//! codes; the numbers are those of [`ErrorKind`].

use std::ffi::{CStr, c_char};

use fastn_core::ErrorKind;

/// The version of the library as a C string that lives as long as the process.
const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(text) => text,
    Err(_) => c"unknown",
};

/// The version of the library, such as `0.1.0`. Lives as long as the process.
// SAFETY: the name is fastn's own prefix and stands once in the program.
#[unsafe(no_mangle)]
pub extern "C" fn fastn_version() -> *const c_char {
    VERSION.as_ptr()
}

/// What an error code means, in words; `unknown error` for a number that is no code. Lives as long as the process.
// SAFETY: the name is fastn's own prefix and stands once in the program.
#[unsafe(no_mangle)]
pub extern "C" fn fastn_error_text(code: u16) -> *const c_char {
    text_of(code).as_ptr()
}

fn text_of(code: u16) -> &'static CStr {
    let Some(kind) = ErrorKind::ALL.iter().find(|kind| kind.code() == code) else { return c"unknown error" };
    match kind {
        ErrorKind::NotFound => c"not found",
        ErrorKind::AlreadyExists => c"already exists",
        ErrorKind::Conflict => c"conflict",
        ErrorKind::Fenced => c"fenced",
        ErrorKind::Locked => c"locked",
        ErrorKind::Unavailable => c"unavailable",
        ErrorKind::TimedOut => c"timed out",
        ErrorKind::Cancelled => c"cancelled",
        ErrorKind::Invalid => c"invalid",
        ErrorKind::Unsupported => c"unsupported",
        ErrorKind::Corrupt => c"corrupt",
        ErrorKind::TooLarge => c"too large",
        ErrorKind::Closed => c"closed",
        ErrorKind::RunFailed => c"run failed",
        ErrorKind::Internal => c"internal error",
        _ => c"unknown error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_words() {
        for kind in ErrorKind::ALL {
            assert_eq!(text_of(kind.code()).to_str(), Ok(kind.as_str()));
        }
        assert_eq!(text_of(0), c"unknown error");
    }

    #[test]
    fn the_version_is_that_of_the_package() {
        assert_eq!(VERSION.to_str(), Ok(env!("CARGO_PKG_VERSION")));
    }
}
