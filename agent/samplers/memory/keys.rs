//! The keys of `/proc/meminfo` that kernels are known to have, each with its metric.

use crate::metric::{Metric, Unit};

/// Key → metric, in the order of a current kernel (`fs/proc/meminfo.c`); what only older ones or other architectures
/// have comes last.
pub(super) static KNOWN: [(&str, Metric); 64] = [
    (
        "MemTotal",
        bytes(
            "node_memory_MemTotal_bytes",
            "RAM that the kernel manages, without what it reserved for itself at boot.",
        )
        .otel_up_down("system.memory.limit"),
    ),
    (
        "MemFree",
        bytes("node_memory_MemFree_bytes", "RAM that holds nothing; low is normal, because caches fill it.")
            .otel_up_down("system.memory.usage")
            .otel_fixed(&[("system.memory.state", "free")]),
    ),
    (
        "MemAvailable",
        bytes(
            "node_memory_MemAvailable_bytes",
            "RAM that programs can still get without swapping, as the kernel estimates.",
        )
        .otel_up_down("system.memory.linux.available"),
    ),
    (
        "Buffers",
        bytes(
            "node_memory_Buffers_bytes",
            "Cache of raw block devices, mostly filesystem metadata; given back on demand.",
        )
        .otel_up_down("system.memory.usage")
        .otel_fixed(&[("system.memory.state", "buffers")]),
    ),
    (
        "Cached",
        bytes("node_memory_Cached_bytes", "Page cache of files, with shared memory and tmpfs but without swap cache.")
            .otel_up_down("system.memory.usage")
            .otel_fixed(&[("system.memory.state", "cached")]),
    ),
    (
        "SwapCached",
        bytes("node_memory_SwapCached_bytes", "Memory read back from swap whose copy on swap is still good."),
    ),
    ("Active", bytes("node_memory_Active_bytes", "Memory used recently, which is reclaimed last.")),
    ("Inactive", bytes("node_memory_Inactive_bytes", "Memory not used for a while, which is reclaimed first.")),
    ("Active(anon)", bytes("node_memory_Active_anon_bytes", "Program memory used recently; only swap can take it.")),
    (
        "Inactive(anon)",
        bytes("node_memory_Inactive_anon_bytes", "Program memory not used for a while; first to be swapped."),
    ),
    ("Active(file)", bytes("node_memory_Active_file_bytes", "File cache used recently.")),
    (
        "Inactive(file)",
        bytes("node_memory_Inactive_file_bytes", "File cache not used for a while; first to be dropped."),
    ),
    ("Unevictable", bytes("node_memory_Unevictable_bytes", "Memory that cannot be reclaimed, such as locked pages.")),
    ("Mlocked", bytes("node_memory_Mlocked_bytes", "Memory that programs locked into RAM with mlock.")),
    ("SwapTotal", bytes("node_memory_SwapTotal_bytes", "All the swap there is; 0 means that the host has none.")),
    (
        "SwapFree",
        bytes("node_memory_SwapFree_bytes", "Swap that is not used.")
            .otel_up_down("system.paging.usage")
            .otel_fixed(&[("system.paging.state", "free")]),
    ),
    ("Zswap", bytes("node_memory_Zswap_bytes", "RAM that compressed swapped-out pages take.")),
    ("Zswapped", bytes("node_memory_Zswapped_bytes", "Size of the swapped-out pages in zswap before compression.")),
    (
        "Dirty",
        bytes("node_memory_Dirty_bytes", "File data that waits to be written to disk.")
            .otel_up_down("system.linux.memory.dirty"),
    ),
    ("Writeback", bytes("node_memory_Writeback_bytes", "File data that is being written to disk right now.")),
    ("AnonPages", bytes("node_memory_AnonPages_bytes", "Memory that programs allocated, mapped into them.")),
    ("Mapped", bytes("node_memory_Mapped_bytes", "File cache that programs have mapped, such as their libraries.")),
    (
        "Shmem",
        bytes("node_memory_Shmem_bytes", "Shared memory and tmpfs; freed only by deleting it.")
            .otel_up_down("system.memory.linux.shared"),
    ),
    ("KReclaimable", bytes("node_memory_KReclaimable_bytes", "Kernel memory that it gives back under pressure.")),
    ("Slab", bytes("node_memory_Slab_bytes", "Memory of the kernel's own data structures.")),
    (
        "SReclaimable",
        bytes(
            "node_memory_SReclaimable_bytes",
            "Kernel caches that are given back under pressure, such as dentries and inodes.",
        )
        .otel_up_down("system.memory.linux.slab.usage")
        .otel_fixed(&[("system.memory.linux.slab.state", "reclaimable")]),
    ),
    (
        "SUnreclaim",
        bytes("node_memory_SUnreclaim_bytes", "Kernel structures that cannot be given back; steady growth is a leak.")
            .otel_up_down("system.memory.linux.slab.usage")
            .otel_fixed(&[("system.memory.linux.slab.state", "unreclaimable")]),
    ),
    ("KernelStack", bytes("node_memory_KernelStack_bytes", "Kernel stacks of all threads; grows with their number.")),
    ("PageTables", bytes("node_memory_PageTables_bytes", "Memory that maps the address spaces of programs.")),
    ("SecPageTables", bytes("node_memory_SecPageTables_bytes", "Page tables for virtual machines and IOMMUs.")),
    (
        "NFS_Unstable",
        bytes(
            "node_memory_NFS_Unstable_bytes",
            "Data sent to an NFS server and not yet on its disk; 0 on current kernels.",
        ),
    ),
    (
        "Bounce",
        bytes("node_memory_Bounce_bytes", "Copies for devices that cannot reach all RAM; 0 on current kernels."),
    ),
    (
        "WritebackTmp",
        bytes("node_memory_WritebackTmp_bytes", "Memory that FUSE writes back from; 0 on current kernels."),
    ),
    (
        "CommitLimit",
        bytes("node_memory_CommitLimit_bytes", "The most that programs may reserve when overcommit is off."),
    ),
    ("Committed_AS", bytes("node_memory_Committed_AS_bytes", "Memory that programs have reserved, used or not.")),
    (
        "VmallocTotal",
        bytes("node_memory_VmallocTotal_bytes", "Address space for the kernel's vmalloc; no RAM by itself."),
    ),
    ("VmallocUsed", bytes("node_memory_VmallocUsed_bytes", "Memory that the kernel took with vmalloc.")),
    (
        "VmallocChunk",
        bytes("node_memory_VmallocChunk_bytes", "Largest free piece of vmalloc space; 0 on current kernels."),
    ),
    ("Percpu", bytes("node_memory_Percpu_bytes", "Memory of the kernel's per-CPU variables.")),
    (
        "HardwareCorrupted",
        bytes(
            "node_memory_HardwareCorrupted_bytes",
            "RAM taken out of use because it is broken: anything but 0 calls for new modules.",
        ),
    ),
    ("AnonHugePages", bytes("node_memory_AnonHugePages_bytes", "Program memory in transparent huge pages.")),
    ("ShmemHugePages", bytes("node_memory_ShmemHugePages_bytes", "Shared memory in transparent huge pages.")),
    ("ShmemPmdMapped", bytes("node_memory_ShmemPmdMapped_bytes", "Shared memory mapped into programs as huge pages.")),
    ("FileHugePages", bytes("node_memory_FileHugePages_bytes", "File cache in huge pages.")),
    ("FilePmdMapped", bytes("node_memory_FilePmdMapped_bytes", "File cache mapped into programs as huge pages.")),
    ("CmaTotal", bytes("node_memory_CmaTotal_bytes", "RAM set aside for devices that need it in one piece (CMA).")),
    ("CmaFree", bytes("node_memory_CmaFree_bytes", "What is free of the RAM set aside for devices (CMA).")),
    ("Unaccepted", bytes("node_memory_Unaccepted_bytes", "RAM of a confidential guest that it has not accepted yet.")),
    ("Balloon", bytes("node_memory_Balloon_bytes", "RAM that the hypervisor took back through the balloon driver.")),
    (
        "HugePages_Total",
        pages("node_memory_HugePages_Total", "Reserved huge pages of the default size.")
            .otel_up_down("system.memory.linux.hugepages.limit"),
    ),
    (
        "HugePages_Free",
        pages("node_memory_HugePages_Free", "Reserved huge pages that nobody has taken.")
            .otel_up_down("system.memory.linux.hugepages.usage")
            .otel_fixed(&[("system.memory.linux.hugepages.state", "free")]),
    ),
    (
        "HugePages_Rsvd",
        pages("node_memory_HugePages_Rsvd", "Free huge pages that are promised to somebody.")
            .otel_up_down("system.memory.linux.hugepages.reserved"),
    ),
    (
        "HugePages_Surp",
        pages("node_memory_HugePages_Surp", "Huge pages above the reserve, taken by overcommit.")
            .otel_up_down("system.memory.linux.hugepages.surplus"),
    ),
    (
        "Hugepagesize",
        bytes("node_memory_Hugepagesize_bytes", "Size of a huge page of the default size.")
            .otel_up_down("system.memory.linux.hugepages.page_size"),
    ),
    ("Hugetlb", bytes("node_memory_Hugetlb_bytes", "RAM taken by reserved huge pages of all sizes.")),
    ("DirectMap4k", bytes("node_memory_DirectMap4k_bytes", "RAM that the kernel maps in pages of 4 KiB.")),
    ("DirectMap2M", bytes("node_memory_DirectMap2M_bytes", "RAM that the kernel maps in pages of 2 MiB.")),
    ("DirectMap1G", bytes("node_memory_DirectMap1G_bytes", "RAM that the kernel maps in pages of 1 GiB.")),
    ("DirectMap4M", bytes("node_memory_DirectMap4M_bytes", "RAM that a 32-bit kernel maps in pages of 4 MiB.")),
    ("Quicklists", bytes("node_memory_Quicklists_bytes", "Page tables kept for reuse; only on kernels before 5.3.")),
    ("HighTotal", bytes("node_memory_HighTotal_bytes", "RAM that a 32-bit kernel cannot map directly.")),
    ("HighFree", bytes("node_memory_HighFree_bytes", "Free RAM that a 32-bit kernel cannot map directly.")),
    ("LowTotal", bytes("node_memory_LowTotal_bytes", "RAM that a 32-bit kernel maps directly.")),
    ("LowFree", bytes("node_memory_LowFree_bytes", "Free RAM that a 32-bit kernel maps directly.")),
];

const fn bytes(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::Bytes, help)
}

const fn pages(name: &'static str, help: &'static str) -> Metric {
    Metric::gauge(name, Unit::Of("{page}"), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_follows_from_its_key() {
        for (key, metric) in &KNOWN {
            let suffix = if metric.unit == Unit::Bytes { "_bytes" } else { "" };
            assert_eq!(metric.name, format!("node_memory_{}{suffix}", super::super::name_of(key)));
        }
    }

    #[test]
    fn every_key_is_there_once() {
        let mut keys: Vec<&str> = KNOWN.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), KNOWN.len());
    }
}
