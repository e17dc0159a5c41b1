use std::time::Duration;

use serde_json::Value;

use crate::site::Endpoint;

/// One question in SQL, which changes nothing: it is asked in a transaction that may only read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub endpoint: Endpoint,
    pub database: String,
    /// One `SELECT`, or whatever else can stand in brackets after `FROM`.
    pub sql: String,
    /// The most rows that are given.
    pub limit: usize,
    /// After that the server gives it up.
    pub timeout: Duration,
}

/// What was answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// A map from column to value for each.
    pub rows: Vec<Value>,
    /// There are more.
    pub more: bool,
}
