//! The parameters of a query, read strictly: every mistake is a sentence that names its parameter.

use crate::error::{ApiError, Code};
use axum::extract::Query;
use axum::http::Uri;
use call_control::{Disposition, Number, Timestamp};
use call_store::CallFilter;
use std::ops::RangeInclusive;

const LIMIT: RangeInclusive<u32> = 1..=200;
const DEFAULT_LIMIT: u32 = 20;
const OFFSET: RangeInclusive<u32> = 0..=u32::MAX;
const DIRECTIONS: [&str; 3] = ["outbound", "inbound", "internal"];
/// Characters to search for.
const SEARCH_MAX: usize = 64;
/// Characters of a stranger's text that are shown back to it.
const SHOWN: usize = 32;

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) filter: CallFilter,
    pub(crate) limit: u32,
    pub(crate) offset: u32,
}

impl Page {
    /// Reads the query of `GET /calls`.
    ///
    /// # Errors
    /// 400, with the parameter.
    pub(crate) fn of(uri: &Uri) -> Result<Self, ApiError> {
        let mut parameters = Parameters::of(uri)?;
        let limit = parameters.read("limit", |text| whole(text, LIMIT))?.unwrap_or(DEFAULT_LIMIT);
        let offset = parameters.read("offset", |text| whole(text, OFFSET))?.unwrap_or(0);
        let direction = parameters.read("direction", direction)?;
        let disposition = parameters.read("disposition", disposition)?;
        let from = parameters.read("from", number)?;
        let to = parameters.read("to", number)?;
        let search = parameters.read("search", search)?;
        let (created_from, created_to) = dates(&mut parameters)?;
        parameters.must_be_empty()?;
        let filter = CallFilter { direction, disposition, from, to, created_from, created_to, search };
        Ok(Self { filter, limit, offset })
    }
}

/// Reads the query of `GET /calls/stats`.
///
/// # Errors
/// 400, with the parameter.
pub(crate) fn period(uri: &Uri) -> Result<CallFilter, ApiError> {
    let mut parameters = Parameters::of(uri)?;
    let (created_from, created_to) = dates(&mut parameters)?;
    parameters.must_be_empty()?;
    Ok(CallFilter { created_from, created_to, ..CallFilter::default() })
}

/// The parameters that have not been taken.
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// # Errors
    /// 400 when the query cannot be read at all.
    pub(crate) fn of(uri: &Uri) -> Result<Self, ApiError> {
        match Query::try_from_uri(uri) {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(_) => Err(ApiError::new(Code::InvalidField, "The query cannot be read")),
        }
    }

    /// # Errors
    /// 400 when it is there twice, or `read` finds a mistake: a sentence with `The parameter NAME ` in front of it.
    pub(crate) fn read<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ApiError> {
        let Some(first) = self.0.iter().position(|(given, _)| given == name) else { return Ok(None) };
        let (_, value) = self.0.swap_remove(first);
        if self.0.iter().any(|(given, _)| given == name) {
            let message = format!("The parameter {name} is given twice");
            return Err(ApiError::new(Code::DuplicateField, message).about(name));
        }
        read(&value).map(Some).map_err(|mistake| invalid(name, &mistake))
    }

    /// # Errors
    /// 400 for one that nobody knows.
    pub(crate) fn must_be_empty(self) -> Result<(), ApiError> {
        let Some((name, _)) = self.0.into_iter().next() else { return Ok(()) };
        let name: String = name.chars().take(SHOWN).collect();
        Err(ApiError::new(Code::UnknownField, format!("There is no parameter {name:?}")).about(name))
    }
}

fn invalid(name: &'static str, mistake: &str) -> ApiError {
    ApiError::new(Code::InvalidField, format!("The parameter {name} {mistake}")).about(name)
}

fn whole(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|value| digits && range.contains(value))
        .ok_or_else(|| format!("must be a whole number, {} to {}", range.start(), range.end()))
}

fn direction(text: &str) -> Result<&'static str, String> {
    DIRECTIONS
        .into_iter()
        .find(|word| *word == text)
        .ok_or_else(|| format!("must be one of {}", DIRECTIONS.join(", ")))
}

fn disposition(text: &str) -> Result<Disposition, String> {
    Disposition::of_word(text).ok_or_else(|| {
        let words = Disposition::ALL.map(Disposition::as_str);
        format!("must be one of {}", words.join(", "))
    })
}

/// A plus that was not escaped arrives as a space; neither a number nor a moment has one.
fn with_plus(text: &str) -> String {
    text.replace(' ', "+")
}

fn number(text: &str) -> Result<Number, String> {
    Number::written(&with_plus(text)).map_err(|error| error.to_string())
}

fn search(text: &str) -> Result<Box<str>, String> {
    if text.is_empty() || text.chars().count() > SEARCH_MAX || text.chars().any(char::is_control) {
        return Err(format!("must have 1 to {SEARCH_MAX} characters that can be shown"));
    }
    Ok(text.into())
}

type Period = (Option<Timestamp>, Option<Timestamp>);

fn dates(parameters: &mut Parameters) -> Result<Period, ApiError> {
    let from = parameters.read("date_from", |text| moment(text, "00:00:00.000"))?;
    let to = parameters.read("date_to", |text| moment(text, "23:59:59.999"))?;
    if from.zip(to).is_some_and(|(from, to)| to < from) {
        return Err(invalid("date_to", "must not be before date_from"));
    }
    Ok((from, to))
}

/// A moment, or a day of UTC and the time in it that is meant.
fn moment(text: &str, time: &str) -> Result<Timestamp, String> {
    let text = with_plus(text);
    let whole = if text.len() == 10 { format!("{text}T{time}Z") } else { text };
    whole
        .parse()
        .map_err(|_| "must be a day such as 2026-11-22, or a moment such as 2026-11-22T10:00:00Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Page, ApiError> {
        Page::of(&uri(query))
    }

    fn uri(query: &str) -> Uri {
        format!("/calls?{query}").parse().unwrap()
    }

    #[test]
    fn a_query_is_read_with_its_defaults() {
        let plain = page("").unwrap();
        assert_eq!(plain, Page { filter: CallFilter::default(), limit: 20, offset: 0 });
        let full = page(
            "limit=200&offset=40&direction=outbound&disposition=no_answer&from=1001&to=%2B918065978015&search=a%25",
        )
        .unwrap();
        assert_eq!((full.limit, full.offset), (200, 40));
        assert_eq!(full.filter.disposition, Some(Disposition::NoAnswer));
        assert_eq!(full.filter.to, Some(Number::new("+918065978015").unwrap()));
        assert_eq!(full.filter.search.as_deref(), Some("a%"));
        assert_eq!(page("to=+918065978015").unwrap().filter.to, full.filter.to);
    }

    #[test]
    fn a_day_is_meant_whole() {
        let filter = page("date_from=2026-11-22&date_to=2026-11-22").unwrap().filter;
        let shown = |moment: Option<Timestamp>| moment.unwrap().to_string();
        assert_eq!(shown(filter.created_from), "2026-11-22T00:00:00.000Z");
        assert_eq!(shown(filter.created_to), "2026-11-22T23:59:59.999Z");
        let filter = page("date_from=2026-11-22T10:00:00+05:30").unwrap().filter;
        assert_eq!(shown(filter.created_from), "2026-11-22T04:30:00.000Z");
    }

    #[test]
    fn a_mistake_names_its_parameter() {
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=+5", "limit"),
            ("limit=", "limit"),
            ("offset=-1", "offset"),
            ("offset=4294967296", "offset"),
            ("direction=up", "direction"),
            ("disposition=Busy", "disposition"),
            ("from=alice", "from"),
            ("to=", "to"),
            ("date_from=yesterday", "date_from"),
            ("date_from=2026-13-01", "date_from"),
            ("date_from=%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4", "date_from"),
            ("date_to=9999-12-31T23:59:59-01:00", "date_to"),
            ("date_from=2026-11-22&date_to=2026-11-21", "date_to"),
            ("search=", "search"),
            ("search=%0a", "search"),
        ] {
            let error = page(query).unwrap_err();
            assert_eq!((error.code(), error.field()), (Code::InvalidField, Some(field)), "{query}");
            assert!(error.message().contains(field), "{}", error.message());
        }
        assert_eq!(page(&format!("search={}", "x".repeat(65))).unwrap_err().field(), Some("search"));
        let twice = page("limit=1&limit=2").unwrap_err();
        assert_eq!((twice.code(), twice.field()), (Code::DuplicateField, Some("limit")));
        let unknown = page("limit=1&sort=up").unwrap_err();
        assert_eq!((unknown.code(), unknown.field()), (Code::UnknownField, Some("sort")));
        assert!(period(&uri("limit=1")).is_err());
    }
}
