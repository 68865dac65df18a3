//! The version of the library.

use std::ffi::{CStr, c_char};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_package() {
        assert_eq!(VERSION.to_str(), Ok(env!("CARGO_PKG_VERSION")));
    }
}
