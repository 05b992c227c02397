//! Which page of a list to show, the same for every list.
//!
//! Promises: says how to see the following page whenever there is one.
//! Refuses: to fetch without end.

use clap::Args;

use crate::cli::screen::Screen;
use crate::wire::page::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, PageQuery};

/// Which page.
#[derive(Args)]
pub(crate) struct Paging {
    /// Rows to show
    #[arg(long, value_name = "N", default_value_t = PAGE_ROWS_DEFAULT,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(PAGE_ROWS_MAX)))]
    pub(crate) limit: u32,
    /// Go on where another page ended
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
}

impl Paging {
    /// The same on the wire.
    pub(crate) fn query(&self) -> PageQuery {
        PageQuery {
            limit: Some(self.limit),
            cursor: self.cursor.clone(),
        }
    }
}

/// Says how to see the following page, where there is one.
pub(crate) fn tell_next(next: Option<&str>, screen: &mut Screen) {
    if let Some(cursor) = next {
        screen.say(&format!("there is more: add --cursor {cursor}"));
    }
}
