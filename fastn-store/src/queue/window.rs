//! What was taken of a rate.

use fastn_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::rate::{Rate, RateWindow};

/// So many times are remembered one by one. Where more can be taken, times are rounded up to this part of the span, so that
/// a little less is allowed and never more.
const PARTS: i64 = 256;

/// What was taken of a rate and counts still: when, and how much; in the order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Window(Vec<(i64, u64)>);

impl Window {
    /// Forgets what counts no more.
    ///
    /// What was taken later than now was taken before the clock was set back: it counts as if it had been taken now, so that
    /// nothing is allowed too early, and nothing is held up for longer than a span. Whether there was such a thing: then this
    /// has to be remembered, since it would be taken anew each time otherwise.
    pub(crate) fn settle(&mut self, rate: &Rate, now: Timestamp) -> bool {
        let (from, latest) = (rate.counts_from(now), now.as_micros().saturating_add(grain(rate) - 1));
        let set_back = self.0.iter().any(|(time, _)| *time > latest);
        for (time, _) in &mut self.0 {
            *time = (*time).min(latest);
        }
        self.0.retain(|(time, _)| *time >= from);
        set_back
    }

    /// From when on there is room for so much; `None` if there is now. Of a window that was settled.
    pub(crate) fn room_at(&self, rate: &Rate, cost: u32) -> Option<Timestamp> {
        let mut over = self.used().saturating_add(charge_of(rate, cost)).saturating_sub(u64::from(rate.quota));
        if over == 0 {
            return None;
        }
        for (time, taken) in &self.0 {
            over = over.saturating_sub(*taken);
            if over == 0 {
                return Some(Timestamp::from_micros(rate.counts_until(*time)));
            }
        }
        // Of a rate that lets nothing pass.
        Some(Timestamp::MAX)
    }

    /// Takes so much now. Of a window that was settled.
    pub(crate) fn take(&mut self, rate: &Rate, now: Timestamp, cost: u32) {
        let (charge, now) = (charge_of(rate, cost), now.as_micros());
        let time = match rate.window {
            RateWindow::Fixed => now,
            RateWindow::Sliding => {
                let grain = grain(rate);
                now.saturating_add((grain - now.rem_euclid(grain)) % grain)
            }
        };
        match self.0.last_mut() {
            Some((last, taken)) if *last >= time || rate.window == RateWindow::Fixed => {
                *last = (*last).max(time);
                *taken = taken.saturating_add(charge);
            }
            _ => self.0.push((time, charge)),
        }
    }

    /// When nothing of it counts any more; `None` if nothing does now. Of a window that was settled.
    pub(crate) fn over_at(&self, rate: &Rate) -> Option<Timestamp> {
        self.0.last().map(|(time, _)| Timestamp::from_micros(rate.counts_until(*time)))
    }

    pub(crate) fn used(&self) -> u64 {
        self.0.iter().fold(0, |used, (_, taken)| used.saturating_add(*taken))
    }
}

/// What a run of this cost takes.
fn charge_of(rate: &Rate, cost: u32) -> u64 {
    u64::from(cost.min(rate.quota))
}

/// To what times are rounded, in microseconds.
fn grain(rate: &Rate) -> i64 {
    match rate.window {
        RateWindow::Sliding if i64::from(rate.quota) > PARTS => (rate.span() / PARTS).max(1),
        _ => 1,
    }
}
