//! Dates, times and sets of days as they are written.

use fastn_schedule::{Date, TimeOfDay};

#[test]
fn dates_and_times_are_read_as_they_are_written() {
    for text in ["2026-12-24", "2028-02-29", "0001-01-01", "9999-12-31"] {
        assert_eq!(text.parse::<Date>().expect(text).to_string(), text);
    }
    for text in [
        "2026-02-29",
        "2026-13-01",
        "2026-00-01",
        "0000-01-01",
        "26-01-01",
        "2026-1-1",
        "2026-12-24 ",
        "+026-12-24",
        "2026-12-24-",
        "",
    ] {
        assert!(text.parse::<Date>().is_err(), "{text:?}");
    }
    for (text, full) in [("09:30", "09:30:00"), ("23:59:59", "23:59:59"), ("00:00", "00:00:00")] {
        assert_eq!(text.parse::<TimeOfDay>().expect(text).to_string(), full);
    }
    for text in ["24:00", "9:30", "09:60", "09:30:60", "09", "09:30:15:00", "-9:30", ""] {
        assert!(text.parse::<TimeOfDay>().is_err(), "{text:?}");
    }
}
