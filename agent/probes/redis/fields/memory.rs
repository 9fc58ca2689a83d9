//! INFO, section Memory.

use super::{Field, field, gauge};
use crate::metric::Unit::{Bytes, One};

pub(super) static FIELDS: &[Field] = &[
    field(
        "used_memory",
        gauge("redis_memory_used_bytes", Bytes, "Memory that the server's allocator has given out.")
            .otel("redis.memory.used"),
    ),
    field(
        "used_memory_rss",
        gauge("redis_memory_used_rss_bytes", Bytes, "Memory that the kernel has given to the server.")
            .otel("redis.memory.rss"),
    ),
    field(
        "used_memory_peak",
        gauge("redis_memory_used_peak_bytes", Bytes, "The most memory that was given out at a time.")
            .otel("redis.memory.peak"),
    ),
    field("used_memory_overhead", gauge("redis_memory_used_overhead_bytes", Bytes, "Memory that holds no data.")),
    field("used_memory_startup", gauge("redis_memory_used_startup_bytes", Bytes, "Memory at the server's start.")),
    field("used_memory_dataset", gauge("redis_memory_used_dataset_bytes", Bytes, "Memory that holds data.")),
    field("allocator_allocated", gauge("redis_allocator_allocated_bytes", Bytes, "Memory given out by the allocator.")),
    field("allocator_active", gauge("redis_allocator_active_bytes", Bytes, "Memory in pages that are in use.")),
    field(
        "allocator_resident",
        gauge("redis_allocator_resident_bytes", Bytes, "Memory that the allocator holds, in use or not."),
    ),
    field(
        "allocator_muzzy",
        gauge(
            "redis_allocator_muzzy_bytes",
            Bytes,
            "Memory that the allocator gave back, and the kernel has not taken.",
        ),
    ),
    field(
        "total_system_memory",
        gauge("redis_total_system_memory_bytes", Bytes, "Memory of the host that the server runs on."),
    ),
    field(
        "used_memory_lua",
        gauge("redis_memory_used_lua_bytes", Bytes, "Memory of the Lua engine, by its older name.")
            .otel("redis.memory.lua"),
    ),
    field("used_memory_vm_eval", gauge("redis_memory_used_vm_eval_bytes", Bytes, "Memory of the engine for scripts.")),
    field(
        "used_memory_scripts_eval",
        gauge("redis_memory_used_scripts_eval_bytes", Bytes, "Memory that cached scripts take beside the engine."),
    ),
    field("number_of_cached_scripts", gauge("redis_number_of_cached_scripts", One, "Scripts that are cached.")),
    field("number_of_functions", gauge("redis_number_of_functions", One, "Functions that are loaded.")),
    field("number_of_libraries", gauge("redis_number_of_libraries", One, "Libraries of functions that are loaded.")),
    field(
        "used_memory_vm_functions",
        gauge("redis_memory_used_vm_functions_bytes", Bytes, "Memory of the engine for functions."),
    ),
    field("used_memory_vm_total", gauge("redis_memory_used_vm_total", One, "Memory of both engines in bytes.")),
    field(
        "used_memory_functions",
        gauge("redis_memory_used_functions_bytes", Bytes, "Memory that functions take beside the engine."),
    ),
    field(
        "used_memory_scripts",
        gauge("redis_memory_used_scripts_bytes", Bytes, "Memory that scripts and functions take beside the engines."),
    ),
    field("maxmemory", gauge("redis_memory_max_bytes", Bytes, "The most memory for data; 0 is no limit.")),
    field(
        "maxmemory_reservation",
        gauge("redis_memory_max_reservation_bytes", Bytes, "Memory kept for other things than data, of Azure."),
    ),
    field(
        "maxmemory_desired_reservation",
        gauge("redis_memory_max_reservation_desired_bytes", Bytes, "What should be kept for them, of Azure."),
    ),
    field(
        "maxfragmentationmemory_reservation",
        gauge("redis_memory_max_fragmentation_reservation_bytes", Bytes, "Memory kept for fragmentation, of Azure."),
    ),
    field(
        "maxfragmentationmemory_desired_reservation",
        gauge(
            "redis_memory_max_fragmentation_reservation_desired_bytes",
            Bytes,
            "What should be kept for it, of Azure.",
        ),
    ),
    field(
        "allocator_frag_ratio",
        gauge("redis_allocator_frag_ratio", One, "Memory in pages in use, for each byte given out."),
    ),
    field(
        "allocator_frag_bytes",
        gauge("redis_allocator_frag_bytes", Bytes, "Memory in pages in use that is not given out."),
    ),
    field(
        "allocator_rss_ratio",
        gauge("redis_allocator_rss_ratio", One, "Memory that the allocator holds, for each byte in pages in use."),
    ),
    field(
        "allocator_rss_bytes",
        gauge("redis_allocator_rss_bytes", Bytes, "Memory that the allocator holds in pages that are not in use."),
    ),
    // Under the name that the dashboards query as well: see `info`.
    field(
        "mem_fragmentation_ratio",
        gauge("redis_mem_fragmentation_ratio", One, "Memory given by the kernel, for each byte given out.")
            .otel("redis.memory.fragmentation_ratio"),
    ),
    field(
        "mem_fragmentation_bytes",
        gauge("redis_mem_fragmentation_bytes", Bytes, "Memory given by the kernel that is not given out."),
    ),
    field(
        "mem_not_counted_for_evict",
        gauge("redis_mem_not_counted_for_eviction_bytes", Bytes, "Memory that does not count against the limit."),
    ),
    field(
        "mem_replication_backlog",
        gauge("redis_mem_replication_backlog_bytes", Bytes, "Memory of what replicas may still ask for."),
    ),
    field(
        "mem_total_replication_buffers",
        gauge("redis_mem_total_replication_buffers_bytes", Bytes, "Memory of all that is kept for replicas."),
    ),
    field("mem_clients_slaves", gauge("redis_mem_clients_slaves", One, "Memory of replicas' connections in bytes.")),
    field("mem_clients_normal", gauge("redis_mem_clients_normal", One, "Memory of clients' connections in bytes.")),
    field(
        "mem_cluster_links",
        gauge("redis_mem_cluster_links_bytes", Bytes, "Memory of the cluster's own connections."),
    ),
    field("mem_aof_buffer", gauge("redis_mem_aof_buffer_bytes", Bytes, "Memory of what is yet to be appended.")),
    field(
        "mem_overhead_db_hashtable_rehashing",
        gauge(
            "redis_mem_overhead_db_hashtable_rehashing_bytes",
            Bytes,
            "Memory of tables of keys that grow or shrink.",
        ),
    ),
    field("active_defrag_running", gauge("redis_active_defrag_running", One, "Whether memory is defragmented now.")),
    field(
        "lazyfree_pending_objects",
        gauge("redis_lazyfree_pending_objects", One, "Values that are yet to be freed in the background."),
    ),
    field("lazyfreed_objects", gauge("redis_lazyfreed_objects", One, "Values that were freed in the background.")),
];
