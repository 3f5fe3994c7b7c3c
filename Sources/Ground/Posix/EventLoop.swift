private import CPosix
private import Glibc

/// Waits for descriptors, signals and times on one thread and calls back on it: the heart of every role that is not built on SwiftNIO.
///
/// Not thread-safe on purpose; other threads reach a loop only through a ``Wakeup``.
///
/// Module `Posix` is the operating system as the rest sees it: owned descriptors, typed errors with errno, threads, monitors, timers, the log. It
/// must not know mail. A descriptor has one owner, and a failed call is a ``SystemError``, never a value that looks like success.
package final class EventLoop {
    package struct Interest: OptionSet, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let read = Interest(rawValue: EPOLLIN.rawValue)
        package static let write = Interest(rawValue: EPOLLOUT.rawValue)
        /// Reported whether asked for or not.
        package static let broken = Interest(rawValue: EPOLLHUP.rawValue | EPOLLERR.rawValue)
    }

    private struct Registration {
        var interest: Interest
        let handler: (Interest) -> Void
    }

    private let epoll: FileDescriptor
    private var registrations: [Int32: Registration] = [:]
    private var timers = TimerQueue()
    private var afterEvents: [() -> Void] = []
    private var running = true
    private var signalDescriptor: FileDescriptor?

    package init() throws(SystemError) {
        epoll = FileDescriptor(owning: try check("epoll_create") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
    }

    /// Level-triggered. The descriptor stays the caller's; ``remove(_:)`` it before closing it.
    package func add(_ descriptor: Int32, _ interest: Interest, _ handler: @escaping (Interest) -> Void) throws(SystemError) {
        var event = epoll_event(events: interest.rawValue, data: epoll_data_t(fd: descriptor))
        try check("epoll_ctl") { epoll_ctl(epoll.raw, EPOLL_CTL_ADD, descriptor, &event) }
        registrations[descriptor] = Registration(interest: interest, handler: handler)
    }

    package func change(_ descriptor: Int32, to interest: Interest) {
        // Peers say after every write what they wait for; it is nearly always the same.
        guard registrations[descriptor]?.interest != interest else { return }
        registrations[descriptor]?.interest = interest
        var event = epoll_event(events: interest.rawValue, data: epoll_data_t(fd: descriptor))
        _ = epoll_ctl(epoll.raw, EPOLL_CTL_MOD, descriptor, &event)
    }

    package func remove(_ descriptor: Int32) {
        guard registrations.removeValue(forKey: descriptor) != nil else { return }
        _ = epoll_ctl(epoll.raw, EPOLL_CTL_DEL, descriptor, nil)
    }

    /// Calls `body` once, `delay` nanoseconds from now or a little later.
    @discardableResult
    package func after(nanoseconds delay: UInt64, _ body: @escaping () -> Void) -> TimerQueue.Token {
        timers.add(at: monotonicNanoseconds() &+ delay, body)
    }

    @discardableResult
    package func after(seconds: Double, _ body: @escaping () -> Void) -> TimerQueue.Token {
        after(nanoseconds: UInt64(max(0, seconds) * 1e9), body)
    }

    package func cancel(_ token: TimerQueue.Token) { timers.cancel(token) }

    /// Calls `body` once, when the events at hand have all been handled: where answers gathered meanwhile leave together.
    package func atEndOfTurn(_ body: @escaping () -> Void) { afterEvents.append(body) }

    /// Takes these signals out of their usual handling and calls `handler` with each as it comes. Call before any thread is made, so that threads inherit the block.
    package func onSignals(_ signals: [Int32], _ handler: @escaping (Int32) -> Void) throws(SystemError) {
        var set = sigset_t()
        sigemptyset(&set)
        for number in signals { sigaddset(&set, number) }
        sigprocmask(SIG_BLOCK, &set, nil)
        let descriptor = FileDescriptor(
            owning: try check("signalfd") { signalfd(-1, &set, Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK)) })
        let raw = descriptor.raw
        signalDescriptor = consume descriptor
        try add(raw, .read) { _ in
            var info = signalfd_siginfo()
            while read(raw, &info, MemoryLayout<signalfd_siginfo>.size) == MemoryLayout<signalfd_siginfo>.size {
                handler(Int32(info.ssi_signo))
            }
        }
    }

    /// Runs until ``stop()``.
    package func run() {
        let capacity = 256
        let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: capacity)
        defer { events.deallocate() }
        while running {
            let count = epoll_wait(epoll.raw, events, Int32(capacity), waitMilliseconds())
            for index in 0..<max(0, Int(count)) {
                // A handler may have removed a descriptor whose event is still in this round.
                registrations[events[index].data.fd]?.handler(Interest(rawValue: events[index].events))
            }
            let now = monotonicNanoseconds()
            while let body = timers.popDue(now: now) { body() }
            while !afterEvents.isEmpty {
                let bodies = afterEvents
                afterEvents.removeAll(keepingCapacity: true)
                for body in bodies { body() }
            }
        }
    }

    package func stop() { running = false }

    private func waitMilliseconds() -> Int32 {
        if !afterEvents.isEmpty { return 0 }
        guard let due = timers.next else { return -1 }
        let now = monotonicNanoseconds()
        guard due > now else { return 0 }
        return Int32(min((due - now + 999_999) / 1_000_000, 3_600_000))
    }
}

/// Lets other threads run a handler on a loop's thread.
package final class Wakeup: Sendable {
    private let descriptor: FileDescriptor

    /// `handler` runs on the loop's thread, once for any number of ``wake()`` that came meanwhile.
    package init(on loop: EventLoop, _ handler: @escaping () -> Void) throws(SystemError) {
        descriptor = FileDescriptor(
            owning: try check("eventfd") { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) })
        let raw = descriptor.raw
        try loop.add(raw, .read) { _ in
            var count: UInt64 = 0
            _ = read(raw, &count, 8)
            handler()
        }
    }

    package func wake() {
        var one: UInt64 = 1
        _ = write(descriptor.raw, &one, 8)
    }
}
