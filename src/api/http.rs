//! Stand-in.
use std::sync::Arc;

use axum::Router;

use crate::service::Service;

/// Stand-in.
pub fn routes(_service: Arc<Service>) -> Router {
    Router::new()
}
