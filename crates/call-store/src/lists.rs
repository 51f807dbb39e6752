//! Lists of calls, and figures over them.

use crate::calls::read;
use crate::{RowFault, Store, StoreError};
use call_control::{Call, Disposition, EndReason, Number, Timestamp};
use sqlx::{QueryBuilder, Sqlite};
use std::collections::BTreeMap;
use std::time::Duration;

/// Which calls; by default all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// `outbound`, `inbound`, `internal`.
    pub direction: Option<&'static str>,
    /// How they went.
    pub disposition: Option<Disposition>,
    /// The number that was rung first.
    pub from: Option<Number>,
    /// The other number.
    pub to: Option<Number>,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created then or earlier.
    pub created_to: Option<Timestamp>,
    /// A part of a number, of the caller id or of the variables, or the beginning of an id; letters of either case.
    pub search: Option<Box<str>>,
}

/// How many calls there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallCount {
    /// Created since a moment that was given.
    pub since: u64,
    /// All.
    pub total: u64,
}

/// Figures over calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallStatistics {
    /// By how they went; running ones included.
    pub by_disposition: BTreeMap<Disposition, u64>,
    /// Those that have ended, by why.
    pub by_end_reason: BTreeMap<EndReason, u64>,
    /// From connected to ended, together, of those that were answered and have ended.
    pub talk: Duration,
    /// Those in which both parties were heard.
    pub heard: u64,
    /// In those, the time from answering to the first audio, of the later party, together.
    pub to_first_audio: Duration,
}

impl Store {
    /// A page of calls, newest first, and how many there are in all.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn calls(
        &self,
        filter: &CallFilter,
        limit: u32,
        offset: u32,
    ) -> Result<(Vec<Call>, u64), StoreError> {
        // One transaction: the page and the total are of one moment.
        let mut reading = self.readers().begin().await?;
        let (total,): (i64,) =
            select("SELECT count(*)", filter).build_query_as().fetch_one(&mut *reading).await?;
        let mut query = select("SELECT call_id, body", filter);
        query.push(" ORDER BY created_at DESC, call_id DESC LIMIT ").push_bind(limit);
        query.push(" OFFSET ").push_bind(offset);
        let rows: Vec<(Box<str>, Box<str>)> = query.build_query_as().fetch_all(&mut *reading).await?;
        let calls = rows.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok((calls, count(total)))
    }

    /// How many calls there are, and how many of them were created at `since` or later.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn call_count(&self, since: Timestamp) -> Result<CallCount, StoreError> {
        let (since, total): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM calls WHERE created_at >= ?1), (SELECT count(*) FROM calls)",
        )
        .bind(since.unix_milliseconds())
        .fetch_one(self.readers())
        .await?;
        Ok(CallCount { since: count(since), total: count(total) })
    }

    /// Figures over the calls that the filter names.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn call_statistics(&self, filter: &CallFilter) -> Result<CallStatistics, StoreError> {
        let mut query = select(
            "SELECT end_reason, connected_at IS NOT NULL, count(*), coalesce(sum(ended_at - connected_at), 0),
             count(first_audio_ms), coalesce(sum(first_audio_ms), 0)",
            filter,
        );
        query.push(" GROUP BY end_reason, connected_at IS NOT NULL");
        let groups: Vec<Group> = query.build_query_as().fetch_all(self.readers()).await?;
        let mut statistics = CallStatistics::default();
        for group in groups {
            statistics.add(group)?;
        }
        Ok(statistics)
    }
}

/// `end_reason`, connected, calls, talk, heard, to first audio; times in milliseconds.
type Group = (Option<Box<str>>, bool, i64, i64, i64, i64);

impl CallStatistics {
    fn add(&mut self, group: Group) -> Result<(), StoreError> {
        let (reason, connected, calls, talk, heard, to_first_audio) = group;
        let disposition = match reason {
            None => Disposition::Running,
            Some(word) => {
                let Some(reason) = EndReason::of_word(&word) else {
                    return Err(StoreError::Corrupt { table: "calls", fault: RowFault::Word { word } });
                };
                *self.by_end_reason.entry(reason).or_default() += count(calls);
                if connected { Disposition::Answered } else { Disposition::of_unanswered(reason) }
            }
        };
        *self.by_disposition.entry(disposition).or_default() += count(calls);
        self.talk += Duration::from_millis(count(talk));
        self.heard += count(heard);
        self.to_first_audio += Duration::from_millis(count(to_first_audio));
        Ok(())
    }
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

fn select(what: &'static str, filter: &CallFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(what);
    query.push(" FROM calls WHERE true");
    if let Some(direction) = filter.direction {
        query.push(" AND direction = ").push_bind(direction);
    }
    if let Some(disposition) = filter.disposition {
        went(&mut query, disposition);
    }
    if let Some(from) = &filter.from {
        query.push(" AND from_number = ").push_bind(from.to_string());
    }
    if let Some(to) = &filter.to {
        query.push(" AND to_number = ").push_bind(to.to_string());
    }
    if let Some(moment) = filter.created_from {
        query.push(" AND created_at >= ").push_bind(moment.unix_milliseconds());
    }
    if let Some(moment) = filter.created_to {
        query.push(" AND created_at <= ").push_bind(moment.unix_milliseconds());
    }
    if let Some(search) = &filter.search {
        holds(&mut query, search);
    }
    query
}

/// `Disposition::of` as SQL, made of its table.
fn went(query: &mut QueryBuilder<Sqlite>, disposition: Disposition) {
    match disposition {
        Disposition::Running => {
            query.push(" AND end_reason IS NULL");
        }
        Disposition::Answered => {
            query.push(" AND end_reason IS NOT NULL AND connected_at IS NOT NULL");
        }
        Disposition::NoAnswer | Disposition::Busy | Disposition::Failed | Disposition::Cancelled => {
            query.push(" AND connected_at IS NULL AND end_reason IN (");
            let mut reasons = query.separated(", ");
            for reason in EndReason::ALL {
                if Disposition::of_unanswered(reason) == disposition {
                    reasons.push_bind(reason.as_str());
                }
            }
            query.push(")");
        }
    }
}

fn holds(query: &mut QueryBuilder<Sqlite>, search: &str) {
    let mut pattern = String::with_capacity(search.len() + 2);
    for character in search.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    query.push(" AND (call_id LIKE ").push_bind(format!("{pattern}%")).push(" ESCAPE '\\'");
    let pattern = format!("%{pattern}%");
    for place in
        ["from_number", "to_number", "json_extract(body, '$.caller_id')", "json_extract(body, '$.variables')"]
    {
        query.push(" OR ").push(place).push(" LIKE ").push_bind(pattern.clone()).push(" ESCAPE '\\'");
    }
    query.push(")");
}
