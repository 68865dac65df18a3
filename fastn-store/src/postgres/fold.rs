//! Journals of leases that have ended are moved to where records stay.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::GenericClient;
use fastn_core::Result;

use super::fault::{corrupt, fault};
use super::numbers::{run_no, stored, unsigned};
use super::row::get;
use crate::RunNo;
use crate::journal::{Pieces, scan_row};

const OP: &str = "fold journal";

/// What a lease's journal has.
#[derive(Debug, Default)]
pub(super) struct Tails {
    /// The number of the commit that would be next.
    pub(super) next: i64,
    /// How much it is.
    pub(super) bytes: usize,
    rows: Vec<Row>,
}

/// What one commit appended.
#[derive(Debug)]
struct Row {
    /// The runs that it is about.
    runs: Vec<i64>,
    entries: Vec<u8>,
}

/// The first byte of a piece that nobody can read: no item of CBOR begins so (RFC 8949, section 3.3).
const UNREADABLE: u8 = 0xFF;

/// What a journal has of a run beyond what is in `flow_history`.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) first: u64,
    pub(super) next: u64,
    pub(super) records: Vec<u8>,
}

impl Tails {
    /// Reads the journal of a lease.
    pub(super) async fn read(client: &impl GenericClient, token: u64) -> Result<Self> {
        let mut tails = Self::default();
        let rows = client
            .query("SELECT seq, runs, entries FROM flow_journal WHERE token = $1 ORDER BY seq", &[&stored(token)])
            .await
            .map_err(fault(OP))?;
        for row in rows {
            tails.next = get::<i64>(&row, 0)? + 1;
            let (runs, entries): (Vec<i64>, Vec<u8>) = (get(&row, 1)?, get(&row, 2)?);
            tails.bytes += entries.len();
            tails.rows.push(Row { runs, entries });
        }
        Ok(tails)
    }

    /// The runs that it is about.
    pub(super) fn mentioned(&self) -> Vec<i64> {
        let mentioned: BTreeSet<i64> = self.rows.iter().flat_map(|row| row.runs.iter().copied()).collect();
        mentioned.into_iter().collect()
    }

    /// What it has of one run from this record on; `None` if nothing.
    ///
    /// # Errors
    /// [`Corrupt`](fastn_core::ErrorKind::Corrupt) if something is missing.
    pub(super) fn of(&self, run: RunNo, from: u64) -> Result<Option<Tail>> {
        self.of_all(&BTreeMap::from([(run, from)])).pop().map_or(Ok(None), |(_, tail)| tail)
    }

    /// Adds what a row of a journal has of a run.
    pub(super) fn scan(row: &[u8], run: RunNo, pieces: &mut Pieces) -> Result<()> {
        scan_row(row, &mut |entry| match entry.run == run {
            true => pieces.add(entry.first, entry.count, entry.records),
            false => Ok(()),
        })
    }

    /// What it has of each of these runs from this record on. An error of one is no error of the others.
    fn of_all(&self, runs: &BTreeMap<RunNo, u64>) -> Vec<(RunNo, Result<Option<Tail>>)> {
        let mut found: BTreeMap<RunNo, Result<Pieces>> =
            runs.iter().map(|(no, from)| (*no, Ok(Pieces::after(*from)))).collect();
        for row in &self.rows {
            let mut seen = BTreeSet::new();
            let scanned = scan_row(&row.entries, &mut |entry| {
                seen.insert(entry.run);
                if let Some(pieces) = found.get_mut(&entry.run)
                    && let Ok(known) = pieces
                    && let Err(error) = known.add(entry.first, entry.count, entry.records)
                {
                    *pieces = Err(error);
                }
                Ok(())
            });
            if let Err(error) = scanned {
                // What comes after the damage may be of any run that the row is about.
                for no in row.runs.iter().map(|no| RunNo(no.cast_unsigned())).filter(|no| !seen.contains(no)) {
                    if let Some(pieces) = found.get_mut(&no) {
                        *pieces = Err(corrupt(OP, error.chain().join(": ")));
                    }
                }
            }
        }
        let tail = |(no, pieces): (RunNo, Result<Pieces>)| {
            let first = runs.get(&no).copied().unwrap_or_default();
            let tail = pieces.map(|pieces| {
                let (next, records) = pieces.into_bytes();
                (next > first).then_some(Tail { first, next, records })
            });
            (no, tail)
        };
        found.into_iter().map(tail).collect()
    }

    /// All that it has of a run, as it is, behind a byte that makes it unreadable.
    fn remains_of(&self, run: RunNo) -> Vec<u8> {
        let rows = self.rows.iter().filter(|row| row.runs.contains(&stored(run.0)));
        std::iter::once(UNREADABLE).chain(rows.flat_map(|row| row.entries.iter().copied())).collect()
    }
}

/// Moves the journal of a lease that has ended to where it stays, unless somebody else does or has. To be called in a
/// transaction.
pub(super) async fn fold(client: &impl GenericClient, token: u64) -> Result<()> {
    let ours = client
        .query_opt(
            "SELECT 1 FROM flow_leases WHERE token = $1 AND ended AND NOT folded FOR UPDATE SKIP LOCKED",
            &[&stored(token)],
        )
        .await
        .map_err(fault(OP))?;
    if ours.is_none() {
        return Ok(());
    }
    client.execute("SELECT stop_effects_1($1)", &[&stored(token)]).await.map_err(fault(OP))?;
    let tails = Tails::read(client, token).await?;
    let unfinished = unfinished(client, &tails.mentioned()).await?;
    let (mut no, mut first, mut count, mut records) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (run, tail) in tails.of_all(&unfinished) {
        let (from, so_many, bytes) = match tail {
            Ok(None) => continue,
            Ok(Some(tail)) => (tail.first, tail.next - tail.first, tail.records),
            // It must not go on from an older state, in which steps that were recorded are not. All others go on.
            Err(error) => {
                tracing::error!(run = run.0, error = error.chain().join(": "), "records of a run are damaged");
                (unfinished.get(&run).copied().unwrap_or_default(), 1, tails.remains_of(run))
            }
        };
        no.push(stored(run.0));
        first.push(stored(from));
        count.push(stored(so_many));
        records.push(bytes);
    }
    client
        .execute(
            "INSERT INTO flow_history (run_no, first_seq, count, records)
             SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])",
            &[&no, &first, &count, &records],
        )
        .await
        .map_err(fault(OP))?;
    // From here on they are found by who looks for runs that nobody holds.
    let left: Vec<i64> = unfinished.keys().map(|no| stored(no.0)).collect();
    client
        .execute(
            "INSERT INTO flow_open (run_no, def_no, holder, status)
             SELECT e.run_no, e.def_no, $2, 1 FROM flow_executions e WHERE e.run_no = ANY ($1)
             ON CONFLICT (run_no) DO NOTHING",
            &[&left, &stored(token)],
        )
        .await
        .map_err(fault(OP))?;
    for sql in ["DELETE FROM flow_journal WHERE token = $1", "UPDATE flow_leases SET folded = true WHERE token = $1"] {
        client.execute(sql, &[&stored(token)]).await.map_err(fault(OP))?;
    }
    if !left.is_empty() {
        // Before this nobody else could claim them: now they are for all alike.
        client.execute("SELECT tell_1('r')", &[]).await.map_err(fault(OP))?;
    }
    Ok(())
}

/// Those of the runs that have not ended, and the sequence number that follows what `flow_history` has of each.
async fn unfinished(client: &impl GenericClient, runs: &[i64]) -> Result<BTreeMap<RunNo, u64>> {
    let rows = client
        .query(
            "SELECT e.run_no, coalesce(h.next, 0) FROM unnest($1::bigint[]) AS asked (no)
             JOIN flow_executions e ON e.run_no = asked.no
             LEFT JOIN LATERAL (
                 SELECT first_seq + count AS next, status FROM flow_history
                 WHERE run_no = e.run_no ORDER BY first_seq DESC LIMIT 1
             ) h ON true
             WHERE h.status IS NULL",
            &[&runs],
        )
        .await
        .map_err(fault(OP))?;
    rows.iter().map(|row| Ok((run_no(get(row, 0)?)?, unsigned(get(row, 1)?)?))).collect()
}
