//! What this host is, read once at the start: operating system, kernel, processor, memory.

use serde::Serialize;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// The facts that do not change while the host runs. What could not be found out is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// The name of the operating system with its version, such as `Ubuntu 24.04 LTS`.
    pub os: Option<String>,
    /// The version of the kernel.
    pub kernel: Option<String>,
    /// The architecture, such as `x86_64`.
    pub arch: String,
    /// The brand of the processors.
    pub cpu: Option<String>,
    /// Cores, not counting hyper-threads twice.
    pub cores: Option<usize>,
    /// Processors as the scheduler counts them.
    pub logical_cpus: usize,
    /// Main memory in bytes.
    pub memory_bytes: u64,
}

impl Inventory {
    /// Takes the inventory of the host that this process runs on.
    pub fn take() -> Inventory {
        let refresh = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(refresh).ok();
        let cpus = system.as_ref().map(System::cpus).unwrap_or_default();
        let brand = cpus.first().map(|cpu| cpu.brand().trim().to_owned());
        Inventory {
            os: System::long_os_version().ok(),
            kernel: System::kernel_version().ok(),
            arch: System::cpu_arch(),
            cpu: brand.filter(|brand| !brand.is_empty()),
            cores: System::physical_core_count().ok(),
            logical_cpus: cpus.len(),
            memory_bytes: system.as_ref().map(System::total_memory).unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Inventory {
    /// One line for the log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let os = self.os.as_deref().unwrap_or("an unknown system");
        let kernel = self.kernel.as_deref().unwrap_or("unknown");
        let gib = self.memory_bytes as f64 / f64::from(1 << 30);
        write!(formatter, "{os}, kernel {kernel}, {} CPUs, {gib:.1} GiB", self.logical_cpus)?;
        self.cpu.as_deref().map_or(Ok(()), |cpu| write!(formatter, ", {cpu}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inventory_of_this_host_is_what_the_kernel_says() {
        let inventory = Inventory::take();
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
        let total: u64 = meminfo.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
        let stat = std::fs::read_to_string("/proc/stat").unwrap();
        assert_eq!(inventory.memory_bytes, total * 1024);
        assert_eq!(inventory.logical_cpus, stat.lines().filter(|line| line.starts_with("cpu")).count() - 1);
        assert!(inventory.to_string().contains(" GiB"));
    }
}
