//! What one cgroup used so far, as the files of version 2, else of version 1, tell it.

use super::cgroup::{self, Files};
use super::files::{Number, parse_blkio, parse_flat, parse_io, parse_limit};

/// What one cgroup used; nothing of what the kernel does not tell. Filled anew for each.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) cpu: Cpu,
    pub(super) memory: Memory,
    pub(super) tasks: Option<u64>,
    /// Time lost waiting.
    pub(super) cpu_stalls: Stalls,
    pub(super) memory_stalls: Stalls,
    pub(super) io_stalls: Stalls,
    /// By device, in the order in which the kernel tells them.
    pub(super) devices: Vec<Io>,
    pub(super) limits: Limits,
}

#[derive(Debug, Default)]
pub(super) struct Cpu {
    pub(super) usage_seconds: Option<f64>,
    pub(super) user_seconds: Option<f64>,
    pub(super) system_seconds: Option<f64>,
    pub(super) periods: Option<u64>,
    pub(super) throttled_periods: Option<u64>,
    pub(super) throttled_seconds: Option<f64>,
}

/// In bytes, but for the three counts at the end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    pub(super) current: Option<u64>,
    pub(super) anon: Option<u64>,
    pub(super) file: Option<u64>,
    pub(super) inactive_file: Option<u64>,
    pub(super) kernel: Option<u64>,
    pub(super) swap: Option<u64>,
    pub(super) peak: Option<u64>,
    pub(super) limit_hits: Option<u64>,
    pub(super) ooms: Option<u64>,
    pub(super) oom_kills: Option<u64>,
}

/// What an admin sets and seldom changes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) memory_bytes: Option<u64>,
    pub(super) tasks: Option<u64>,
}

/// What is kept of a cgroup until its next turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    usage_seconds: Option<f64>,
    memory: Memory,
    limits: Limits,
}

/// Seconds that some task waited, and that all did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stalls {
    pub(super) some_seconds: Option<f64>,
    pub(super) full_seconds: Option<f64>,
}

/// What passed between a cgroup and a device.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Io {
    pub(super) device: Number,
    pub(super) read_bytes: Option<u64>,
    pub(super) written_bytes: Option<u64>,
    pub(super) reads: Option<u64>,
    pub(super) writes: Option<u64>,
}

impl Account {
    /// Reads all of it. `ticks` a second is the unit of version 1's times.
    pub(super) fn read(&mut self, files: &mut Files<'_>, ticks: u64) {
        self.cpu = Cpu::read(files, ticks);
        let kept = *files.kept;
        let idle = kept.filter(|kept| kept.usage_seconds.is_some() && kept.usage_seconds == self.cpu.usage_seconds);
        self.memory = Memory::read(files, idle.map(|kept| kept.memory));
        self.tasks = files.number(cgroup::PIDS).or_else(|| files.number(cgroup::LEGACY_PIDS));
        self.cpu_stalls = files.stalls(cgroup::CPU_PRESSURE);
        self.memory_stalls = files.stalls(cgroup::MEMORY_PRESSURE);
        self.io_stalls = files.stalls(cgroup::IO_PRESSURE);
        self.read_devices(files);
        self.limits = kept.map_or_else(|| Limits::read(files), |kept| kept.limits);
        *files.kept = Some(Kept { usage_seconds: self.cpu.usage_seconds, memory: self.memory, limits: self.limits });
    }

    fn read_devices(&mut self, files: &mut Files<'_>) {
        self.devices.clear();
        if let Some(text) = files.long(cgroup::IO_STAT) {
            parse_io(text, |device, key, value| match key {
                "rbytes" => self.device(device).read_bytes = Some(value),
                "wbytes" => self.device(device).written_bytes = Some(value),
                "rios" => self.device(device).reads = Some(value),
                "wios" => self.device(device).writes = Some(value),
                _ => {}
            });
            return;
        }
        let bytes = if let Some(text) = files.long(cgroup::BLKIO_BYTES) {
            Some(text)
        } else {
            files.long(cgroup::OLD_BLKIO_BYTES)
        };
        parse_blkio(bytes.unwrap_or_default(), |device, key, value| match key {
            "Read" => self.device(device).read_bytes = Some(value),
            "Write" => self.device(device).written_bytes = Some(value),
            _ => {}
        });
        let counts = if let Some(text) = files.long(cgroup::BLKIO_COUNT) {
            Some(text)
        } else {
            files.long(cgroup::OLD_BLKIO_COUNT)
        };
        parse_blkio(counts.unwrap_or_default(), |device, key, value| match key {
            "Read" => self.device(device).reads = Some(value),
            "Write" => self.device(device).writes = Some(value),
            _ => {}
        });
    }

    fn device(&mut self, device: Number) -> &mut Io {
        let known = self.devices.iter().position(|io| io.device == device);
        let place = known.unwrap_or_else(|| {
            self.devices.push(Io { device, ..Io::default() });
            self.devices.len() - 1
        });
        // It was found, or pushed there.
        #[allow(clippy::indexing_slicing)]
        &mut self.devices[place]
    }
}

impl Cpu {
    fn read(files: &mut Files<'_>, ticks: u64) -> Cpu {
        let mut cpu = Cpu::default();
        parse_flat(files.text(cgroup::CPU_STAT).unwrap_or_default(), |key, value| match key {
            "usage_usec" => cpu.usage_seconds = Some(value as f64 / 1e6),
            "user_usec" => cpu.user_seconds = Some(value as f64 / 1e6),
            "system_usec" => cpu.system_seconds = Some(value as f64 / 1e6),
            "nr_periods" => cpu.periods = Some(value),
            "nr_throttled" => cpu.throttled_periods = Some(value),
            "throttled_usec" => cpu.throttled_seconds = Some(value as f64 / 1e6),
            _ => {}
        });
        if cpu.usage_seconds.is_none() {
            cpu.usage_seconds = files.number(cgroup::CPUACCT_USAGE).map(|nanoseconds| nanoseconds as f64 / 1e9);
            let seconds = |value: u64| Some(value as f64 / ticks.max(1) as f64);
            parse_flat(files.text(cgroup::CPUACCT_STAT).unwrap_or_default(), |key, value| match key {
                "user" => cpu.user_seconds = seconds(value),
                "system" => cpu.system_seconds = seconds(value),
                _ => {}
            });
        }
        if cpu.periods.is_none() {
            parse_flat(files.text(cgroup::LEGACY_CPU_STAT).unwrap_or_default(), |key, value| match key {
                "nr_periods" => cpu.periods = Some(value),
                "nr_throttled" => cpu.throttled_periods = Some(value),
                "throttled_time" => cpu.throttled_seconds = Some(value as f64 / 1e9),
                _ => {}
            });
        }
        // What has no quota has no periods, and cannot be throttled.
        if cpu.periods == Some(0) {
            files.rest(cgroup::LEGACY_CPU_STAT);
            (cpu.periods, cpu.throttled_periods, cpu.throttled_seconds) = (None, None, None);
        }
        cpu
    }
}

impl Memory {
    /// `before` is what an idle cgroup had in the pass before. None of its tasks ran since, so that nothing was
    /// allocated: unless its memory shrank, the other files say what they said.
    fn read(files: &mut Files<'_>, before: Option<Memory>) -> Memory {
        let unified = files.number(cgroup::MEMORY_CURRENT);
        let current = unified.or_else(|| files.number(cgroup::MEMORY_USAGE));
        if let Some(before) = before.filter(|before| before.current == current) {
            return before;
        }
        let mut memory = Memory { current, ..Memory::default() };
        if unified.is_none() {
            memory.read_legacy(files);
            return memory;
        }
        parse_flat(files.text(cgroup::MEMORY_STAT).unwrap_or_default(), |key, value| match key {
            "anon" => memory.anon = Some(value),
            "file" => memory.file = Some(value),
            "inactive_file" => memory.inactive_file = Some(value),
            "kernel" => memory.kernel = Some(value),
            _ => {}
        });
        parse_flat(files.text(cgroup::MEMORY_EVENTS).unwrap_or_default(), |key, value| match key {
            "max" => memory.limit_hits = Some(value),
            "oom" => memory.ooms = Some(value),
            "oom_kill" => memory.oom_kills = Some(value),
            _ => {}
        });
        memory.swap = files.number(cgroup::MEMORY_SWAP);
        memory.peak = files.number(cgroup::MEMORY_PEAK);
        memory
    }

    /// Of version 1, whose `total_` fields include the cgroups below.
    fn read_legacy(&mut self, files: &mut Files<'_>) {
        parse_flat(files.text(cgroup::LEGACY_MEMORY_STAT).unwrap_or_default(), |key, value| match key {
            "total_rss" => self.anon = Some(value),
            "total_cache" => self.file = Some(value),
            "total_inactive_file" => self.inactive_file = Some(value),
            "total_swap" => self.swap = Some(value),
            _ => {}
        });
        parse_flat(files.text(cgroup::MEMORY_OOM).unwrap_or_default(), |key, value| {
            if key == "oom_kill" {
                self.oom_kills = Some(value);
            }
        });
        self.kernel = files.number(cgroup::MEMORY_KMEM);
        self.peak = files.number(cgroup::MEMORY_MAX_USAGE);
        self.limit_hits = files.number(cgroup::MEMORY_FAILCNT);
    }
}

impl Limits {
    fn read(files: &mut Files<'_>) -> Limits {
        let mut limit = |file, legacy| match files.text(file) {
            Some(text) => parse_limit(text),
            None => files.text(legacy).and_then(parse_limit),
        };
        Limits {
            memory_bytes: limit(cgroup::MEMORY_MAX, cgroup::MEMORY_LIMIT),
            tasks: limit(cgroup::PIDS_MAX, cgroup::LEGACY_PIDS_MAX),
        }
    }
}
