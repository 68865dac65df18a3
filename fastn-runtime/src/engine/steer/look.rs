//! Looking for what runs were told while nobody had them.

use fastn_core::Result;
use fastn_store::{ReceiveAsk, RunKey};
use foldhash::HashMap;

use crate::engine::beforehand::Order;
use crate::engine::command::Command;
use crate::engine::core::Core;
use crate::engine::tenure::Tenure;
use crate::patience::patiently;

/// How many messages are received at a time.
const PAGE: u32 = 256;

/// Looks for orders to the runs of a lease, some of which it has just got.
///
/// # Errors
/// As receiving messages.
pub(in crate::engine) async fn look(core: &Core, tenure: &Tenure) -> Result<()> {
    let (Some(durable), Some(lease)) = (core.services.durable(), tenure.token()) else { return Ok(()) };
    let (mut after, mut found) = (None, HashMap::<RunKey, Vec<Order>>::default());
    loop {
        let ask = ReceiveAsk { lease, after, limit: PAGE };
        let page = patiently(&*core.services.clock, durable.patience, || durable.store.receive(ask.clone())).await?;
        let (count, last) = (page.len(), page.last().map(|received| received.no));
        for received in page {
            // What cannot be read is the post's to complain of.
            if let Ok(command @ (Command::Pause { .. } | Command::Resume { .. })) =
                Command::decode(&received.message.body)
            {
                found.entry(received.message.run).or_default().push((received.message.id, command));
            }
        }
        if u32::try_from(count) != Ok(PAGE) {
            break;
        }
        after = last;
    }
    tenure.beforehand.add(found);
    Ok(())
}
