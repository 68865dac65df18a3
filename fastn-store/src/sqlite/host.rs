//! Runs that are started in transactions of the host's own.

use fastn_core::Result;
use rusqlite::Transaction;

use super::create::{Creation, Numbers, create};
use super::enqueue::enqueue;
use super::hand::Hand;
use super::migrate::check_current;
use super::state::State;
use crate::queue::check_item;
use crate::{Enqueue, HostTransaction, NewRun, Written};

impl HostTransaction for &Transaction<'_> {
    /// Best begun with [`TransactionBehavior::Immediate`](rusqlite::TransactionBehavior::Immediate): one that has read
    /// before it writes cannot write if somebody else did meanwhile.
    async fn create(self, new: &NewRun) -> Result<Written> {
        check_current(self)?;
        let (mut state, mut numbers) = (State::default(), Numbers::default());
        let mut hand = Hand::of(self);
        create(self, &mut Creation { hand: &mut hand, state: &mut state, numbers: &mut numbers }, new, None, false)
    }

    async fn enqueue(self, new: &Enqueue) -> Result<Written> {
        check_current(self)?;
        check_item(new)?;
        let (mut state, mut numbers) = (State::default(), Numbers::default());
        let mut hand = Hand::of(self);
        let mut creation = Creation { hand: &mut hand, state: &mut state, numbers: &mut numbers };
        enqueue(self, &mut creation, new, new.new.created_at).map(|(written, _)| written)
    }
}
