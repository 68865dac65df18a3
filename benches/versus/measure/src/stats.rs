//! Of many figures, one.

/// The value below which this part of the values lies; NaN of none.
pub fn percentile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = (values.len() as f64 * part).ceil() as usize;
    values.get(at.saturating_sub(1).min(last)).copied().unwrap_or(f64::NAN)
}

/// The value in the middle; NaN of none.
pub fn median(values: Vec<f64>) -> f64 {
    percentile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_there() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(values.clone(), 0.5), 50.0);
        assert_eq!(percentile(values.clone(), 0.99), 99.0);
        assert_eq!(percentile(values, 1.0), 100.0);
        assert_eq!(median(vec![3.0]), 3.0);
        assert!(median(Vec::new()).is_nan());
    }
}
