//! The page: what vigie answers over HTTP.

pub mod prometheus;
