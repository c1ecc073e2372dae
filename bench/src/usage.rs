//! What a process used, as the kernel counts it.

use std::fs;

/// Processor time and memory of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// User and system time of all threads, in seconds.
    pub cpu_s: f64,
    /// The most memory that was resident, in bytes.
    pub peak_bytes: u64,
    /// Resident now, in bytes.
    pub resident_bytes: u64,
}

impl Usage {
    /// Of this process.
    ///
    /// # Errors
    ///
    /// Where there is no `/proc`.
    pub fn own() -> std::io::Result<Self> {
        Self::of("self")
    }

    /// Of the process with this id.
    ///
    /// # Errors
    ///
    /// If it is gone, or there is no `/proc`.
    pub fn of(process: &str) -> std::io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name in parentheses may contain anything; the numbers start after it. Fields 14 and 15 are clock ticks.
        let numbers = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: f64 = numbers
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|n| n.parse::<f64>().ok())
            .sum();
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
                .unwrap_or(0)
                * 1024
        };
        Ok(Self {
            cpu_s: ticks / TICKS_PER_SECOND,
            peak_bytes: kib("VmHWM:"),
            resident_bytes: kib("VmRSS:"),
        })
    }
}

/// Linux reports to user space in hundredths of a second on every architecture that Sluice runs on.
const TICKS_PER_SECOND: f64 = 100.0;
