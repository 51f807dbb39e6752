//! Lists of calls, and figures over them.

use crate::calls::read;
use crate::{RowFault, Store, StoreError};
use call_control::{Call, Disposition, EndReason, Number, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
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
    /// How long they were connected, together, of those that were answered and have ended.
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
        let filter = filter.clone();
        self.search(move |connection| {
            // One transaction: the page and the total are of one moment.
            let reading = connection.transaction()?;
            let total = Query::of("SELECT count(*)", &filter);
            let total: i64 =
                reading.query_row(&total.text, params_from_iter(total.values), |row| row.get(0))?;
            let mut query = Query::of("SELECT call_id, body", &filter);
            query.push(" ORDER BY created_at DESC, call_id DESC LIMIT ").bind(i64::from(limit));
            query.push(" OFFSET ").bind(i64::from(offset));
            Ok((query.calls(&reading)?, count(total)))
        })
        .await
    }

    /// How many calls there are, and how many of them were created at `since` or later.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn call_count(&self, since: Timestamp) -> Result<CallCount, StoreError> {
        self.search(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT (SELECT count(*) FROM calls WHERE created_at >= ?1), (SELECT count(*) FROM calls)",
            )?;
            let read = |row: &rusqlite::Row<'_>| {
                Ok(CallCount { since: count(row.get(0)?), total: count(row.get(1)?) })
            };
            Ok(statement.query_row([since.unix_milliseconds()], read)?)
        })
        .await
    }

    /// Figures over the calls that the filter names.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn call_statistics(&self, filter: &CallFilter) -> Result<CallStatistics, StoreError> {
        let mut query = Query::of(
            "SELECT end_reason, connected_at IS NOT NULL, count(*), coalesce(sum(talk_ms), 0),
             count(first_audio_ms), coalesce(sum(first_audio_ms), 0)",
            filter,
        );
        query.push(" GROUP BY end_reason, connected_at IS NOT NULL");
        self.search(move |connection| {
            let mut statement = connection.prepare(&query.text)?;
            let mut rows = statement.query(params_from_iter(query.values))?;
            let mut statistics = CallStatistics::default();
            while let Some(row) = rows.next()? {
                statistics.add(row.try_into()?)?;
            }
            Ok(statistics)
        })
        .await
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

/// A statement that grows with what it is to find.
struct Query {
    text: String,
    values: Vec<Value>,
}

impl Query {
    fn of(what: &str, filter: &CallFilter) -> Self {
        let mut query = Self { text: format!("{what} FROM calls WHERE true"), values: Vec::new() };
        if let Some(direction) = filter.direction {
            query.push(" AND direction = ").bind(direction.to_owned());
        }
        if let Some(disposition) = filter.disposition {
            query.went(disposition);
        }
        if let Some(from) = &filter.from {
            query.push(" AND from_number = ").bind(from.to_string());
        }
        if let Some(to) = &filter.to {
            query.push(" AND to_number = ").bind(to.to_string());
        }
        if let Some(moment) = filter.created_from {
            query.push(" AND created_at >= ").bind(moment.unix_milliseconds());
        }
        if let Some(moment) = filter.created_to {
            query.push(" AND created_at <= ").bind(moment.unix_milliseconds());
        }
        if let Some(search) = &filter.search {
            query.holds(search);
        }
        query
    }

    fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.push("?")
    }

    /// `Disposition::of` as SQL, made of its table.
    fn went(&mut self, disposition: Disposition) {
        match disposition {
            Disposition::Running => {
                self.push(" AND end_reason IS NULL");
            }
            Disposition::Answered => {
                self.push(" AND end_reason IS NOT NULL AND connected_at IS NOT NULL");
            }
            Disposition::NoAnswer | Disposition::Busy | Disposition::Failed | Disposition::Cancelled => {
                self.push(" AND connected_at IS NULL AND end_reason IN (NULL");
                for reason in EndReason::ALL {
                    if Disposition::of_unanswered(reason) == disposition {
                        self.push(", ").bind(reason.as_str().to_owned());
                    }
                }
                self.push(")");
            }
        }
    }

    fn holds(&mut self, search: &str) {
        let mut pattern = String::with_capacity(search.len() + 2);
        for character in search.chars() {
            if matches!(character, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        self.push(" AND (call_id LIKE ").bind(format!("{pattern}%")).push(" ESCAPE '\\'");
        let pattern = format!("%{pattern}%");
        for place in [
            "from_number",
            "to_number",
            "json_extract(body, '$.caller_id')",
            "json_extract(body, '$.variables')",
        ] {
            self.push(" OR ").push(place).push(" LIKE ").bind(pattern.clone()).push(" ESCAPE '\\'");
        }
        self.push(")");
    }

    fn calls(self, connection: &Connection) -> Result<Vec<Call>, StoreError> {
        let mut statement = connection.prepare(&self.text)?;
        let mut rows = statement.query(params_from_iter(self.values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }
}
