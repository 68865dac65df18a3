//! What is kept beside runs: values with versions.

use bytes::Bytes;
use fastn_core::{BoxError, EntryKind, EntryName, Error, ErrorKind, Result, TenantId};
use fastn_store::{Entry, EntryKey, Expect, Put, Scan};

use crate::conformance::case::{Case, Flaw, Found, case, ensure, fails, same};
use crate::conformance::trial::Trial;

pub(in crate::conformance) const CASES: &[Case] = &[
    case!(an_entry_is_what_was_put_last),
    case!(an_entry_that_is_not_as_expected_is_left_alone),
    case!(no_version_comes_back),
    case!(a_deletion_of_nothing_changes_nothing),
    case!(of_many_who_swap_at_once_one_wins),
    case!(what_many_add_at_once_is_all_there),
    case!(many_who_create_at_once_create_one),
    case!(entries_of_other_tenants_kinds_and_names_are_others),
    case!(entries_are_listed_in_their_order_page_by_page),
    case!(the_latest_version_says_that_something_changed),
    case!(values_of_entries_come_back_unchanged),
    case!(names_of_entries_come_back_unchanged),
    case!(a_closed_store_says_so_of_entries),
];

fn invalid(why: impl Into<BoxError>) -> Error {
    Error::new(ErrorKind::Invalid, "make a sample").caused_by(why)
}

fn kind(name: &str) -> Result<EntryKind> {
    EntryKind::new(name).map_err(invalid)
}

fn key(tenant: &str, name: &str) -> Result<EntryKey> {
    let (tenant, name) = (TenantId::new(tenant).map_err(invalid)?, EntryName::new(name).map_err(invalid)?);
    Ok(EntryKey { kind: kind("k")?, tenant, name })
}

async fn put(t: &Trial, key: &EntryKey, value: Option<&[u8]>, expect: Expect) -> Result<u64> {
    let value = value.map(Bytes::copy_from_slice);
    t.store.put(Put { key: key.clone(), value, expect }).await
}

async fn an_entry_is_what_was_put_last(t: Trial) -> Found {
    let key = key("t", "n")?;
    same(t.store.get(&key).await?, None)?;
    let mut before = 0;
    let changes: [(&[u8], _); 4] =
        [(b"1", Expect::Absent), (b"2", Expect::Any), (b"", Expect::Any), (b"4", Expect::Any)];
    for (value, expect) in changes {
        let version = put(&t, &key, Some(value), expect).await?;
        ensure(version > before, format_args!("version {version} follows {before}"))?;
        let value = Bytes::copy_from_slice(value);
        same(t.store.get(&key).await?, Some(Entry { key: key.clone(), version, value }))?;
        before = version;
    }
    let version = put(&t, &key, Some(b"5"), Expect::Version(before)).await?;
    ensure(version > before, format_args!("version {version} follows {before}"))?;
    put(&t, &key, None, Expect::Version(version)).await?;
    same(t.store.get(&key).await?, None)
}

async fn an_entry_that_is_not_as_expected_is_left_alone(t: Trial) -> Found {
    let key = key("t", "n")?;
    for wrong in [Expect::Version(0), Expect::Version(1), Expect::Version(u64::MAX)] {
        for value in [Some(b"no".as_slice()), None] {
            fails(put(&t, &key, value, wrong).await, ErrorKind::Conflict)?;
        }
        same(t.store.get(&key).await?, None)?;
    }
    let first = put(&t, &key, Some(b"1"), Expect::Absent).await?;
    let second = put(&t, &key, Some(b"2"), Expect::Version(first)).await?;
    let entry = t.store.get(&key).await?;
    let ahead = Expect::Version(second.saturating_add(1));
    for wrong in [Expect::Absent, Expect::Version(first), ahead, Expect::Version(0), Expect::Version(u64::MAX)] {
        for value in [Some(b"no".as_slice()), None] {
            fails(put(&t, &key, value, wrong).await, ErrorKind::Conflict)?;
        }
        same(t.store.get(&key).await?, entry.clone())?;
    }
    // A value that is the same is a change all the same.
    let third = put(&t, &key, Some(b"2"), Expect::Version(second)).await?;
    fails(put(&t, &key, Some(b"3"), Expect::Version(second)).await, ErrorKind::Conflict)?;
    ensure(third > second, format_args!("version {third} follows {second}"))
}

async fn no_version_comes_back(t: Trial) -> Found {
    let key = key("t", "n")?;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let version = put(&t, &key, Some(b"1"), Expect::Absent).await?;
        let deleted = put(&t, &key, None, Expect::Version(version)).await?;
        seen.extend([version, deleted]);
    }
    let again = put(&t, &key, Some(b"1"), Expect::Absent).await?;
    for old in &seen {
        // Whoever saw the entry before it was deleted must not take it for the one that he saw.
        fails(put(&t, &key, Some(b"2"), Expect::Version(*old)).await, ErrorKind::Conflict)?;
    }
    seen.push(again);
    ensure(seen.is_sorted_by(|a, b| a < b), format_args!("the versions were {seen:?}"))
}

async fn a_deletion_of_nothing_changes_nothing(t: Trial) -> Found {
    let key = key("t", "n")?;
    let before = t.store.latest(&key.kind).await?;
    for expect in [Expect::Any, Expect::Absent] {
        same(put(&t, &key, None, expect).await?, before)?;
    }
    same((t.store.get(&key).await?, t.store.latest(&key.kind).await?), (None, before))
}

/// Has so many do this at once, and tells what each of them came to.
async fn at_once<F>(count: u32, each: impl Fn(u32) -> F) -> std::result::Result<Vec<Result<u64>>, Flaw>
where
    F: Future<Output = Result<u64>> + Send + 'static,
{
    let all: Vec<_> = (0..count).map(|n| tokio::spawn(each(n))).collect();
    let mut came = Vec::new();
    for one in all {
        came.push(one.await.map_err(Flaw::new)?);
    }
    Ok(came)
}

/// Of those who swapped at once, the one that won; the others must know that they did not.
fn winner(came: Vec<Result<u64>>) -> std::result::Result<u64, Flaw> {
    let mut won = Vec::new();
    for one in came {
        match one {
            Ok(version) => won.push(version),
            lost => fails(lost, ErrorKind::Conflict)?,
        }
    }
    match won.as_slice() {
        [version] => Ok(*version),
        _ => Err(Flaw::new(format_args!("{} have won", won.len()))),
    }
}

async fn of_many_who_swap_at_once_one_wins(t: Trial) -> Found {
    let key = key("t", "n")?;
    let mut version = put(&t, &key, Some(b"0"), Expect::Absent).await?;
    for _ in 0..20 {
        let expect = Expect::Version(version);
        let came = at_once(16, |n| {
            let (t, key) = (t.clone(), key.clone());
            async move {
                tokio::task::yield_now().await;
                put(&t, &key, Some(n.to_string().as_bytes()), expect).await
            }
        });
        version = winner(came.await?)?;
        same(t.store.get(&key).await?.map(|entry| entry.version), Some(version))?;
    }
    Ok(())
}

async fn many_who_create_at_once_create_one(t: Trial) -> Found {
    for name in ["a", "b", "c"] {
        let key = key("t", name)?;
        let came = at_once(16, |n| {
            let (t, key) = (t.clone(), key.clone());
            async move { put(&t, &key, Some(n.to_string().as_bytes()), Expect::Absent).await }
        });
        let version = winner(came.await?)?;
        same(t.store.get(&key).await?.map(|entry| entry.version), Some(version))?;
    }
    Ok(())
}

async fn what_many_add_at_once_is_all_there(t: Trial) -> Found {
    const ADDERS: u32 = 8;
    const TIMES: u32 = 25;
    let key = key("t", "sum")?;
    put(&t, &key, Some(b"0"), Expect::Absent).await?;
    let came = at_once(ADDERS, |_| {
        let (t, key) = (t.clone(), key.clone());
        async move {
            let mut last = 0;
            for _ in 0..TIMES {
                last = loop {
                    let entry = t.store.get(&key).await?.ok_or_else(|| invalid("the entry is gone"))?;
                    let sum: u32 = std::str::from_utf8(&entry.value).map_err(invalid)?.parse().map_err(invalid)?;
                    let more = sum.saturating_add(1).to_string();
                    tokio::task::yield_now().await;
                    match put(&t, &key, Some(more.as_bytes()), Expect::Version(entry.version)).await {
                        Err(error) if error.kind() == ErrorKind::Conflict => {}
                        version => break version?,
                    }
                };
            }
            Ok(last)
        }
    });
    for adder in came.await? {
        adder?;
    }
    let sum = t.store.get(&key).await?.map(|entry| entry.value);
    same(sum, Some(Bytes::from((ADDERS * TIMES).to_string())))
}

async fn entries_of_other_tenants_kinds_and_names_are_others(t: Trial) -> Found {
    let one = key("t", "n")?;
    let others = [key("u", "n")?, key("t", "m")?, EntryKey { kind: kind("l")?, ..one.clone() }, key("tn", "x")?];
    put(&t, &one, Some(b"1"), Expect::Absent).await?;
    for other in &others {
        same(t.store.get(other).await?, None)?;
        put(&t, other, Some(b"2"), Expect::Absent).await?;
    }
    put(&t, &one, None, Expect::Any).await?;
    for other in &others {
        same(t.store.get(other).await?.map(|entry| entry.value), Some(Bytes::from_static(b"2")))?;
    }
    Ok(())
}

/// All that a scan is about, page by page.
async fn scan_all(t: &Trial, mut scan: Scan) -> Result<Vec<EntryKey>> {
    let mut found: Vec<EntryKey> = Vec::new();
    // A store that turns in circles must not hold up the suite.
    for _ in 0..1_000 {
        let page = t.store.scan(scan.clone()).await?;
        if page.len() as u64 > u64::from(scan.limit) {
            return Err(invalid(format!("{} were asked for and {} given", scan.limit, page.len())));
        }
        let full = page.len() as u64 == u64::from(scan.limit);
        found.extend(page.into_iter().map(|entry| entry.key));
        scan.after = found.last().map(|last| (last.tenant.clone(), last.name.clone()));
        if !full {
            return Ok(found);
        }
    }
    Err(invalid("there is no last page"))
}

async fn entries_are_listed_in_their_order_page_by_page(t: Trial) -> Found {
    // What is before what is decided by bytes: not by letters, their case, their length or anybody's language.
    let names = ["!", "%", "A", "B", "a", "a b", "a!", "aa", "b", "z", "\u{e4}", "\u{ffd}", "\u{ffff}", "\u{10000}"];
    let tenants = ["T", "t", "t2", "\u{fc}"];
    let mut keys = Vec::new();
    for tenant in tenants {
        for name in names {
            keys.push(key(tenant, name)?);
        }
    }
    keys.sort();
    for key in keys.iter().rev() {
        put(&t, key, Some(key.name.as_str().as_bytes()), Expect::Absent).await?;
        put(&t, &EntryKey { kind: kind("j")?, ..key.clone() }, Some(b""), Expect::Absent).await?;
        put(&t, &EntryKey { kind: kind("l")?, ..key.clone() }, Some(b""), Expect::Absent).await?;
    }
    let scan = |tenant: Option<TenantId>, limit| Ok::<_, Error>(Scan { kind: kind("k")?, tenant, after: None, limit });
    for limit in [1, 3, 14, 15, 1_000] {
        same(scan_all(&t, scan(None, limit)?).await?, keys.clone())?;
        for tenant in tenants {
            let tenant = TenantId::new(tenant).map_err(invalid)?;
            let theirs: Vec<_> = keys.iter().filter(|key| key.tenant == tenant).cloned().collect();
            same(scan_all(&t, scan(Some(tenant), limit)?).await?, theirs)?;
        }
    }
    for entry in t.store.scan(scan(None, 0)?).await? {
        same(entry.value.as_ref(), entry.key.name.as_str().as_bytes())?;
        same(t.store.get(&entry.key).await?, Some(entry))?;
    }
    // From a place where nothing is, and from another tenant's.
    let nobody = TenantId::new("nobody").map_err(invalid)?;
    same(t.store.scan(scan(Some(nobody), 10)?).await?, vec![])?;
    let tenant = TenantId::new("t").map_err(invalid)?;
    let place = |tenant: &str, name: &str| Ok::<_, Error>(Some(key(tenant, name).map(|key| (key.tenant, key.name))?));
    for (after, count) in [(("T", "z"), 14), (("t", "a\u{1f600}"), 6), (("t2", "!"), 0)] {
        let found = t.store.scan(Scan { after: place(after.0, after.1)?, ..scan(Some(tenant.clone()), 100)? }).await?;
        same((after, found.len()), (after, count))?;
    }
    Ok(())
}

async fn the_latest_version_says_that_something_changed(t: Trial) -> Found {
    let (one, two) = (key("t", "n")?, key("u", "m")?);
    let other = EntryKey { kind: kind("l")?, ..one.clone() };
    same(t.store.latest(&one.kind).await?, 0)?;
    let mut before = 0;
    let changes: [(&EntryKey, Option<&[u8]>); 4] =
        [(&one, Some(b"1")), (&two, Some(b"2")), (&one, None), (&two, Some(b"2"))];
    for (key, value) in changes {
        let version = put(&t, key, value, Expect::Any).await?;
        same(t.store.latest(&key.kind).await?, version)?;
        ensure(version > before, format_args!("version {version} follows {before}"))?;
        before = version;
        same(t.store.latest(&other.kind).await?, 0)?;
    }
    fails(put(&t, &two, None, Expect::Absent).await, ErrorKind::Conflict)?;
    same(t.store.latest(&one.kind).await?, before)
}

async fn values_of_entries_come_back_unchanged(t: Trial) -> Found {
    let planes: String = (0..=16_u32).filter_map(|plane| char::from_u32(plane << 16 | 0xFFFD)).collect();
    let every: Vec<u8> = (0..=255).collect();
    let texts: [&[u8]; 6] = [b"", b"\0", b"before\0after", b"\0\0", b"'; DROP TABLE entries; --", planes.as_bytes()];
    for value in texts.into_iter().map(<[u8]>::to_vec).chain([every, vec![b'7'; 8 << 20], vec![0; 1 << 20]]) {
        let key = key("t", "n")?;
        put(&t, &key, Some(&value), Expect::Any).await?;
        let found = t.store.get(&key).await?.map(|entry| entry.value);
        ensure(
            found.as_deref() == Some(value.as_slice()),
            format_args!("{} bytes are not what they were", value.len()),
        )?;
        let scan = Scan { kind: key.kind.clone(), tenant: None, after: None, limit: 10 };
        let listed: Vec<_> = t.store.scan(scan).await?.into_iter().map(|entry| entry.value).collect();
        ensure(listed == [value.as_slice()], format_args!("{} bytes are listed as others", value.len()))?;
    }
    Ok(())
}

async fn names_of_entries_come_back_unchanged(t: Trial) -> Found {
    let planes: String = (0..=16_u32).filter_map(|plane| char::from_u32(plane << 16 | 0x41)).collect();
    let long = "x".repeat(256);
    for text in
        [&planes, &long, "'; DROP TABLE entries; --", "%_\\'\"`[]{}$1 ?1 :a @b", "NULL", " n ", "e\u{301}", "\u{e9}"]
    {
        let key = EntryKey { kind: kind(text)?, ..key(text, text)? };
        put(&t, &key, Some(text.as_bytes()), Expect::Absent).await?;
        let entry = t.store.get(&key).await?;
        same(entry.as_ref().map(|entry| (&entry.key, entry.value.as_ref())), Some((&key, text.as_bytes())))?;
        let scan = Scan { kind: key.kind.clone(), tenant: Some(key.tenant.clone()), after: None, limit: 10 };
        same(t.store.scan(scan).await?, Vec::from_iter(entry))?;
    }
    Ok(())
}

async fn a_closed_store_says_so_of_entries(t: Trial) -> Found {
    let key = key("t", "n")?;
    put(&t, &key, Some(b"1"), Expect::Absent).await?;
    t.store.close().await?;
    fails(t.store.get(&key).await, ErrorKind::Closed)?;
    fails(put(&t, &key, Some(b"2"), Expect::Any).await, ErrorKind::Closed)?;
    fails(t.store.latest(&key.kind).await, ErrorKind::Closed)?;
    fails(t.store.scan(Scan { kind: key.kind, tenant: None, after: None, limit: 1 }).await, ErrorKind::Closed)
}
