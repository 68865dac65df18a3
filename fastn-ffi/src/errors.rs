//! What error codes mean.

use std::ffi::{CStr, c_char};

use fastn_core::ErrorKind;

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
}
