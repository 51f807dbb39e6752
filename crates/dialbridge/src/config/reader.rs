//! Walks a TOML document against what is known of it, and notes every mistake instead of stopping at the first.
//!
//! A [`Table`] hands out [`Value`]s by key and at its [`end`](Table::end) refuses the keys that nobody asked for. Every
//! reading answers `None` when it fails, and has then noted why.

use super::mistake::{Fault, Mistake, nearest};
use crate::Secret;
use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where the lines of a file begin, and what was found wrong with it.
#[derive(Debug)]
pub(super) struct Document {
    /// The octet after each line break.
    lines: Vec<usize>,
    mistakes: RefCell<Vec<Mistake>>,
}

impl Document {
    pub(super) fn new(text: &str) -> Self {
        let lines =
            text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n').map(|(at, _)| at + 1).collect();
        Self { lines, mistakes: RefCell::default() }
    }

    pub(super) fn note(&self, line: Option<usize>, key: &str, what: Fault) {
        self.mistakes.borrow_mut().push(Mistake { line, key: key.into(), what });
    }

    /// The line of an octet, counted from 1.
    pub(super) fn line(&self, octet: usize) -> usize {
        1 + self.lines.partition_point(|start| *start <= octet)
    }

    /// What was found, in the order of the lines.
    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.line);
        mistakes
    }
}

/// A table, or the absence of one: then every key is absent.
#[derive(Debug)]
pub(super) struct Table<'d> {
    document: &'d Document,
    path: String,
    line: usize,
    entries: Option<&'d DeTable<'d>>,
    known: Vec<&'static str>,
}

impl<'d> Table<'d> {
    pub(super) fn root(document: &'d Document, entries: &'d DeTable<'d>) -> Self {
        Self { document, path: String::new(), line: 1, entries: Some(entries), known: Vec::new() }
    }

    /// The value of a key that may be absent.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Value<'d>> {
        self.known.push(key);
        let value = self.entries?.get(key)?;
        Some(Value { document: self.document, path: self.path_of(key), value })
    }

    /// The value of a key that must be there.
    pub(super) fn required(&mut self, key: &'static str) -> Option<Value<'d>> {
        let value = self.optional(key);
        if value.is_none() {
            self.refuse(key, Fault::Missing);
        }
        value
    }

    /// A table in this one.
    pub(super) fn table(&mut self, key: &'static str) -> Self {
        self.optional(key).and_then(|value| value.table("a table")).unwrap_or_else(|| Self {
            document: self.document,
            path: self.path_of(key),
            line: self.line,
            entries: None,
            known: Vec::new(),
        })
    }

    /// The tables `[[key]]` in this one.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        let items = self.optional(key).and_then(|value| value.list("a list of tables")).unwrap_or_default();
        items.into_iter().filter_map(|item| item.table("a table")).collect()
    }

    /// Refuses a key whose feature is not there.
    pub(super) fn later(&mut self, key: &'static str, feature: &'static str) {
        if let Some(value) = self.optional(key) {
            value.refuse(Fault::Later { feature });
        }
    }

    /// Notes a mistake about a key, in the line of the table.
    pub(super) fn refuse(&self, key: &str, what: Fault) {
        self.document.note(Some(self.line), &self.path_of(key), what);
    }

    /// Notes a mistake about the table itself.
    pub(super) fn refuse_whole(&self, what: Fault) {
        self.document.note(Some(self.line), &self.path, what);
    }

    /// Refuses every key that was not asked for.
    pub(super) fn end(self) {
        for (key, _) in self.entries.into_iter().flat_map(DeTable::iter) {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) {
                let line = self.document.line(key.span().start);
                let what = Fault::UnknownKey { nearest: nearest(name, &self.known) };
                self.document.note(Some(line), &self.path_of(&name.escape_debug().to_string()), what);
            }
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }
}

/// A value, and where it stands.
#[derive(Debug)]
pub(super) struct Value<'d> {
    document: &'d Document,
    path: String,
    value: &'d Spanned<DeValue<'d>>,
}

impl<'d> Value<'d> {
    /// Where the value begins.
    pub(super) fn line(&self) -> usize {
        let Range { start, .. } = self.value.span();
        self.document.line(start)
    }

    /// Notes a mistake about this value.
    pub(super) fn refuse(&self, what: impl Into<Fault>) {
        self.document.note(Some(self.line()), &self.path, what.into());
    }

    pub(super) fn text(&self) -> Option<&'d str> {
        let Some(text) = self.value.get_ref().as_str() else { return self.wrong_type("a string") };
        if text.is_empty() { self.refused(Fault::Empty) } else { Some(text) }
    }

    /// A text that is made into something else.
    pub(super) fn parsed<T, E: Into<Fault>>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        match parse(self.text()?) {
            Ok(value) => Some(value),
            Err(fault) => self.refused(fault.into()),
        }
    }

    pub(super) fn whole(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let Some(digits) = self.value.get_ref().as_integer() else {
            return self.wrong_type("a whole number");
        };
        let number = u64::from_str_radix(digits.as_str(), digits.radix()).ok();
        let inside = number.filter(|number| range.contains(number));
        inside.or_else(|| self.refused(Fault::OutOfRange { min: *range.start(), max: *range.end() }))
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        let value = self.value.get_ref().as_bool();
        value.or_else(|| self.wrong_type("true or false"))
    }

    pub(super) fn seconds(&self, range: RangeInclusive<u64>) -> Option<Duration> {
        self.whole(range).map(Duration::from_secs)
    }

    /// The items of a list.
    pub(super) fn list(&self, expected: &'static str) -> Option<Vec<Self>> {
        let Some(items) = self.value.get_ref().as_array() else { return self.wrong_type(expected) };
        let item = |(index, value)| {
            let path = format!("{}[{index}]", self.path);
            Self { document: self.document, path, value }
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A list with something in it; each item is made into something else, and none of them twice.
    pub(super) fn set<T: PartialEq, E: Into<Fault>>(
        &self,
        expected: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let items = self.list(expected)?;
        if items.is_empty() {
            return self.refused(Fault::Empty);
        }
        let mut read: Vec<(T, usize)> = Vec::with_capacity(items.len());
        for item in &items {
            let Some(value) = item.parsed(&parse) else { continue };
            match read.iter().find(|(earlier, _)| *earlier == value) {
                Some((_, line)) => {
                    let value = item.text().unwrap_or_default().to_owned();
                    item.refuse(Fault::Repeated { value, line: *line });
                }
                None => read.push((value, item.line())),
            }
        }
        (read.len() == items.len()).then(|| read.into_iter().map(|(value, _)| value).collect())
    }

    pub(super) fn table(&self, expected: &'static str) -> Option<Table<'d>> {
        let Some(entries) = self.value.get_ref().as_table() else { return self.wrong_type(expected) };
        Some(Table {
            document: self.document,
            path: self.path.clone(),
            line: self.line(),
            entries: Some(entries),
            known: Vec::new(),
        })
    }

    /// The keys of a table that may have any, with their values.
    pub(super) fn entries(&self, expected: &'static str) -> Option<Vec<(&'d str, Self)>> {
        let Some(entries) = self.value.get_ref().as_table() else { return self.wrong_type(expected) };
        let entry = |(key, value): (&'d Spanned<_>, _)| {
            let key: &'d std::borrow::Cow<'d, str> = key.get_ref();
            let path = format!("{}.{}", self.path, key.escape_debug());
            (&**key, Self { document: self.document, path, value })
        };
        Some(entries.iter().map(entry).collect())
    }

    pub(super) fn is_string(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// A string, `{ env = "NAME" }` or `{ file = "PATH" }`.
    pub(super) fn secret(&self) -> Option<Secret> {
        let value = self.value.get_ref();
        let text = match value.as_str() {
            Some(text) => text.to_owned(),
            None if value.is_table() => self.secret_elsewhere()?,
            None => return self.refused(Fault::SecretShape),
        };
        if text.is_empty() { self.refused(Fault::Empty) } else { Some(Secret::new(&text)) }
    }

    /// The same where a carrier gives an empty password to its accounts.
    pub(super) fn secret_or_empty(&self) -> Option<Secret> {
        match self.value.get_ref().as_str() {
            Some("") => Some(Secret::new("")),
            Some(_) | None => self.secret(),
        }
    }

    fn secret_elsewhere(&self) -> Option<String> {
        let mut place = self.table("a table")?;
        let (environment, file) = (place.optional("env"), place.optional("file"));
        place.end();
        match (environment, file) {
            (Some(name), None) => {
                let name = name.text()?;
                match std::env::var(name) {
                    Ok(text) => Some(text),
                    Err(std::env::VarError::NotPresent) => self.refused(Fault::EnvironmentUnset(name.into())),
                    Err(std::env::VarError::NotUnicode(_)) => {
                        self.refused(Fault::EnvironmentNotText(name.into()))
                    }
                }
            }
            (None, Some(path)) => {
                let path = path.text()?;
                match std::fs::read_to_string(path) {
                    // Editors and `echo` end a file with a line break.
                    Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
                    Err(why) => self.refused(Fault::SecretFile { path: path.into(), why: why.to_string() }),
                }
            }
            (Some(_), Some(_)) | (None, None) => self.refused(Fault::SecretShape),
        }
    }

    fn refused<T>(&self, what: Fault) -> Option<T> {
        self.refuse(what);
        None
    }

    fn wrong_type<T>(&self, expected: &'static str) -> Option<T> {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.refused(Fault::WrongType { expected, found })
    }
}
