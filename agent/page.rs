//! The page: what vigie answers over HTTP.

pub mod accept;
pub mod cache;
pub mod prometheus;
