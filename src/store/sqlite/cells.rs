//! From cells to domain values.
//!
//! Promises: a cell that does not parse is [`StoreError::Damaged`] with table, column and row.
//! Refuses: defaults in place of damaged values.

use std::str::FromStr;

use rusqlite::types::{FromSql, Value, ValueRef};
use rusqlite::{Connection, Params, Row, params_from_iter};

use crate::id::EventNumber;
use crate::store::StoreError;
use crate::time::Timestamp;

/// A table, and the column that names its rows to people.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) key: &'static str,
}

/// One row of a table.
pub(super) struct Cells<'a> {
    table: Table,
    row: &'a Row<'a>,
}

/// A question with as many conditions as a filter has.
pub(super) struct Select {
    sql: String,
    values: Vec<Value>,
}

impl Table {
    /// Every row that a statement finds.
    pub(super) fn all<T>(
        self,
        connection: &Connection,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Cells<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(&Cells { table: self, row })?);
        }
        Ok(found)
    }

    /// The first row that a statement finds.
    pub(super) fn one<T>(
        self,
        connection: &Connection,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Cells<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let row = rows.next()?;
        row.map(|row| read(&Cells { table: self, row })).transpose()
    }
}

impl Cells<'_> {
    /// A cell of one of the database's own types.
    pub(super) fn get<T: FromSql>(&self, column: &'static str) -> Result<T, StoreError> {
        self.row.get(column).map_err(|_| self.damaged(column))
    }

    /// A number that must fit.
    pub(super) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        let number: i64 = self.get(column)?;
        number.try_into().map_err(|_| self.damaged(column))
    }

    /// A text that must parse.
    pub(super) fn parse<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        text.parse().map_err(|_| self.damaged(column))
    }

    /// A text that must parse, if there is one.
    pub(super) fn maybe<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self.get(column)?;
        let parsed = text.map(|text| text.parse()).transpose();
        parsed.map_err(|_| self.damaged(column))
    }

    /// Texts of a JSON list that must each parse.
    pub(super) fn list<T: FromStr>(&self, column: &'static str) -> Result<Vec<T>, StoreError> {
        let texts: Vec<String> = self.json(column)?;
        let parsed: Result<_, T::Err> = texts.iter().map(|text| text.parse()).collect();
        parsed.map_err(|_| self.damaged(column))
    }

    /// A JSON text.
    pub(super) fn json<T: for<'a> serde::Deserialize<'a>>(
        &self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|_| self.damaged(column))
    }

    /// A moment.
    pub(super) fn at(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        Timestamp::from_unix_ms(self.get(column)?).map_err(|_| self.damaged(column))
    }

    /// A moment, if there is one.
    pub(super) fn maybe_at(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let unix_ms: Option<i64> = self.get(column)?;
        let at = unix_ms.map(Timestamp::from_unix_ms).transpose();
        at.map_err(|_| self.damaged(column))
    }

    /// The number of an event.
    pub(super) fn event(&self, column: &'static str) -> Result<EventNumber, StoreError> {
        EventNumber::new(self.number(column)?).ok_or_else(|| self.damaged(column))
    }

    /// The number of an event, if there is one.
    pub(super) fn maybe_event(
        &self,
        column: &'static str,
    ) -> Result<Option<EventNumber>, StoreError> {
        match self.get::<Option<i64>>(column)? {
            None => Ok(None),
            Some(_) => self.event(column).map(Some),
        }
    }

    /// The error for a cell of this row.
    pub(super) fn damaged(&self, column: &'static str) -> StoreError {
        let row = match self.row.get_ref(self.table.key) {
            Ok(ValueRef::Integer(number)) => number.to_string(),
            Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            Ok(ValueRef::Blob(_) | ValueRef::Null | ValueRef::Real(_)) | Err(_) => {
                "unknown".to_owned()
            }
        };
        StoreError::Damaged {
            table: self.table.name,
            column,
            row,
        }
    }
}

impl Select {
    /// Begins with a statement that has a `WHERE` already.
    pub(super) fn new(sql: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            values: Vec::new(),
        }
    }

    /// Adds a condition with one `?`, when there is a value for it.
    pub(super) fn and(mut self, condition: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.sql.push_str(" AND ");
            self.sql.push_str(condition);
            self.values.push(value.into());
        }
        self
    }

    /// Adds a condition without value, when it is wanted.
    pub(super) fn only(mut self, condition: &str, wanted: bool) -> Self {
        if wanted {
            self.sql.push_str(" AND ");
            self.sql.push_str(condition);
        }
        self
    }

    /// Ends with the order and the bound.
    pub(super) fn ordered(mut self, order: &str, limit: u32) -> Self {
        self.sql.push_str(order);
        self.sql.push_str(" LIMIT ?");
        self.values.push(i64::from(limit.min(ROWS_MAX)).into());
        self
    }

    /// Asks.
    pub(super) fn all<T>(
        self,
        connection: &Connection,
        table: Table,
        read: impl Fn(&Cells<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        table.all(connection, &self.sql, params_from_iter(self.values), read)
    }
}

/// A count, version or event number as the database holds it. None comes near the bound.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// JSON of texts, read back by [`Cells::list`].
pub(super) fn texts<T: ToString>(items: &[T]) -> String {
    let texts: serde_json::Value = items.iter().map(ToString::to_string).collect();
    texts.to_string()
}

/// The most rows of one answer, whatever its caller asks.
pub(super) const ROWS_MAX: u32 = 10_000;
