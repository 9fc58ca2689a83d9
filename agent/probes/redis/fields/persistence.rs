//! INFO, section Persistence.

use super::{Field, field, gauge};
use crate::metric::Unit::{Bytes, Of, One, Seconds};

pub(super) static FIELDS: &[Field] = &[
    field("loading", gauge("redis_loading_dump_file", One, "Whether the data is being loaded.")),
    field("async_loading", gauge("redis_async_loading", One, "Whether data is loaded while the old is served.")),
    field(
        "rdb_changes_since_last_save",
        gauge("redis_rdb_changes_since_last_save", Of("{change}"), "Changes since the data was last saved.")
            .otel_up_down("redis.rdb.changes_since_last_save"),
    ),
    field("rdb_bgsave_in_progress", gauge("redis_rdb_bgsave_in_progress", One, "Whether the data is being saved.")),
    field(
        "rdb_last_save_time",
        gauge("redis_rdb_last_save_timestamp_seconds", Seconds, "When the data was last saved."),
    ),
    field("rdb_last_bgsave_status", gauge("redis_rdb_last_bgsave_status", One, "Whether the last save went well.")),
    field(
        "rdb_last_bgsave_time_sec",
        gauge("redis_rdb_last_bgsave_duration_sec", Seconds, "How long the last save took; -1 is none yet."),
    ),
    field(
        "rdb_current_bgsave_time_sec",
        gauge("redis_rdb_current_bgsave_duration_sec", Seconds, "How long this save takes already; -1 is none."),
    ),
    field("rdb_saves", gauge("redis_rdb_saves_total", One, "Saves since the start.")),
    field(
        "rdb_last_cow_size",
        gauge("redis_rdb_last_cow_size_bytes", Bytes, "Memory that was copied during the last save."),
    ),
    field(
        "rdb_last_load_keys_expired",
        gauge("redis_rdb_last_load_expired_keys", One, "Keys that were found expired when the data was loaded."),
    ),
    field(
        "rdb_last_load_keys_loaded",
        gauge("redis_rdb_last_load_loaded_keys", One, "Keys that were loaded when the data was."),
    ),
    field("aof_enabled", gauge("redis_aof_enabled", One, "Whether changes are appended to a file.")),
    field("aof_rewrite_in_progress", gauge("redis_aof_rewrite_in_progress", One, "Whether that file is written anew.")),
    field("aof_rewrite_scheduled", gauge("redis_aof_rewrite_scheduled", One, "Whether it will be, after the save.")),
    field(
        "aof_last_rewrite_time_sec",
        gauge("redis_aof_last_rewrite_duration_sec", Seconds, "How long that took last; -1 is never yet."),
    ),
    field(
        "aof_current_rewrite_time_sec",
        gauge("redis_aof_current_rewrite_duration_sec", Seconds, "How long it takes already; -1 is not now."),
    ),
    field(
        "aof_last_bgrewrite_status",
        gauge("redis_aof_last_bgrewrite_status", One, "Whether the file was last written anew well."),
    ),
    field("aof_last_write_status", gauge("redis_aof_last_write_status", One, "Whether it was last appended to well.")),
    field(
        "aof_last_cow_size",
        gauge("redis_aof_last_cow_size_bytes", Bytes, "Memory that was copied while it was written anew."),
    ),
    field("aof_current_size", gauge("redis_aof_current_size_bytes", Bytes, "The size of the file.")),
    field("aof_base_size", gauge("redis_aof_base_size_bytes", Bytes, "The size when it was last written anew.")),
    field("aof_pending_rewrite", gauge("redis_aof_pending_rewrite", One, "Whether it will be written anew.")),
    field("aof_buffer_length", gauge("redis_aof_buffer_length", One, "Bytes that are yet to be appended.")),
    field(
        "aof_rewrite_buffer_length",
        gauge("redis_aof_rewrite_buffer_length", One, "Bytes that are yet to be appended to the new file."),
    ),
    field(
        "aof_pending_bio_fsync",
        gauge("redis_aof_pending_bio_fsync", One, "Writes that are yet to be forced to the disk."),
    ),
    field(
        "aof_delayed_fsync",
        gauge("redis_aof_delayed_fsync", One, "Writes that waited as the disk was slow, since the start."),
    ),
    field("module_fork_in_progress", gauge("redis_module_fork_in_progress", One, "Whether a module has a child.")),
    field(
        "module_fork_last_cow_size",
        gauge("redis_module_fork_last_cow_size", One, "Bytes that were copied while a module had one."),
    ),
];
