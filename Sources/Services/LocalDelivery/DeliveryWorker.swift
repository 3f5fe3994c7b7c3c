private import Bytes
private import CPosix
private import Frames
private import Glibc
private import Injection
private import Posix

/// The delivery worker of one user: takes requests with a message from lspawn on descriptor 0, several at a time, until lspawn closes it.
///
/// It runs as that user, started by lspawn, which fixed uid, gid and home. Threads read the socket themselves: a packet is a whole request.
/// - Parameter isConfined: the worker shares its uid with those of other mailboxes. It locks itself into its home, the working directory, before it has
///   threads, and runs no programs: what it sends on it gives to the queue itself.
/// - Returns: the exit code.
package func runDeliveryWorker(isConfined: Bool) -> Int32 {
    signal(SIGPIPE, SIG_IGN)
    umask(0o077)
    martlet_name_process("martlet-local")
    if isConfined, !confine() { return 111 }
    return DeliveryWorker(LocalDelivery(isConfined ? .forbidden : .report)).run()
}

/// Into the home, then to the qmail home, where the queue's socket is.
private func confine() -> Bool {
    switch Sandbox.confineToWorkingDirectory() {
    case .whole: break
    case .partial(let version):
        log("martlet-local: Landlock of this kernel is version \(version): files are confined, network and signals are not all")
    case .none(let error): log("martlet-local: alert: this kernel has no Landlock (\(error.reason)): only file modes keep mailboxes apart")
    }
    do throws(SystemError) { try QmailHome.enter() } catch {
        log("martlet-local: fatal: \(error)")
        return false
    }
    return true
}

final class DeliveryWorker: Sendable {
    /// More do not make a disk sync faster.
    static let maxThreads = 10
    private static let socket: Int32 = 0
    /// A request is an address, a home and the default instructions.
    private static let maxRequestBytes = 128 * 1024

    private struct Crew {
        var threads = 0
        var waiting = 0
        var exitCode: Int32 = 0
    }

    private let crew = Monitor(Crew())
    private let delivery: LocalDelivery

    init(_ delivery: LocalDelivery) { self.delivery = delivery }

    func run() -> Int32 {
        hire()
        return crew.wait { $0.threads == 0 ? $0.exitCode : nil }
    }

    private func hire() {
        crew.with { $0.threads += 1 }
        _ = Thread("delivery") { [self] in
            work()
            crew.with { $0.threads -= 1 }
            crew.wakeAll()
        }
    }

    private func work() {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.maxRequestBytes, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            crew.with { $0.waiting += 1 }
            var passed: Int32 = -1
            var count: Int
            repeat { count = martlet_receive(Self.socket, buffer.baseAddress, buffer.count, &passed, 0) } while count < 0 && errno == EINTR
            // The last one that was free has work: another takes its place at the socket.
            let isShort = crew.with { crew in
                crew.waiting -= 1
                return crew.waiting == 0 && crew.threads < Self.maxThreads
            }
            guard count > 0 else {
                if count < 0 { _ = fail("\(errorText(errno))") }
                return
            }
            if isShort { hire() }
            guard handle(Array(UnsafeRawBufferPointer(rebasing: buffer[..<count])), passed) else { return }
        }
    }

    /// False when lspawn is no longer there or speaks another language.
    private func handle(_ packet: [UInt8], _ passed: Int32) -> Bool {
        let message: FileDescriptor? = passed >= 0 ? FileDescriptor(owning: passed) : nil
        guard let frame = Frame(packet: packet[...]) else { return fail("bad request") }
        do throws(FrameError) {
            if frame.type == WorkerProbe.type {
                let probe = try WorkerProbe(frame)
                return send(probe.answer(delivery.answer(probe)))
            }
            let request = try WorkerRequest(frame)
            return send(Delivery.Answer.reports(slot: request.slot, [delivery.deliver(request, message)]).encode())
        } catch {
            return fail("bad request")
        }
    }

    private func send(_ packet: [UInt8]) -> Bool {
        packet.withUnsafeBytes { bytes in
            var part = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
            while true {
                if martlet_send(Self.socket, &part, 1, -1, 0) >= 0 { return true }
                if errno != EINTR { return false }
            }
        }
    }

    /// The others finish what they have and find the socket at its end.
    private func fail(_ reason: String) -> Bool {
        log("martlet-local: fatal: \(reason)")
        crew.with { $0.exitCode = 111 }
        shutdown(Self.socket, Int32(SHUT_RD))
        return false
    }
}
