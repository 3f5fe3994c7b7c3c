private import Addresses
private import Bytes
internal import ControlFiles
internal import Journal
private import Posix
private import QueueStore
internal import Schedule

/// What the control files say to the queue (spec-qmail §5.2). Like qmail-send it reads them at its start; only ``AddressRewriting`` is read again on HUP.
struct QueueSettings {
    var me: [UInt8]
    var bounceFrom: [UInt8]
    var bounceHost: [UInt8]
    var doubleBounceTo: [UInt8]
    var isQSBMF: Bool
    /// Of an original that is larger only the header goes back.
    var bounceMaxBytes: UInt64
    /// To one address elsewhere, an hour; 0: no limit.
    var bouncesPerHour: UInt64
    var limits = Schedule.Limits()
    var log: Journal.Parameters

    private static let defaultBounceMaxBytes: UInt64 = 1 << 20
    private static let defaultBouncesPerHour: UInt64 = 100

    init(_ control: ControlDirectory) throws {
        me = try control.line("me") ?? []
        bounceFrom = try control.line("bouncefrom") ?? Array("MAILER-DAEMON".utf8)
        bounceHost = try control.lineOrMe("bouncehost") ?? Array("bouncehost".utf8)
        let host = try control.lineOrMe("doublebouncehost") ?? Array("doublebouncehost".utf8)
        doubleBounceTo = (try control.line("doublebounceto") ?? Array("postmaster".utf8)) + [ASCII.at] + host
        isQSBMF = try QueueSettings.isQSBMF(control)
        bounceMaxBytes = try control.integer("bouncemaxbytes") ?? Self.defaultBounceMaxBytes
        bouncesPerHour = try control.integer("bouncesperhour") ?? Self.defaultBouncesPerHour
        limits.concurrencyLocal = try QueueSettings.count(control, "concurrencylocal", limits.concurrencyLocal)
        limits.concurrencyRemote = try QueueSettings.count(control, "concurrencyremote", limits.concurrencyRemote)
        limits.perDestination = try QueueSettings.count(control, "concurrencyperhost", limits.perDestination)
        limits.lifetime = try control.integer("queuelifetime") ?? limits.lifetime
        log = try Journal.Parameters(control)
    }

    private static func isQSBMF(_ control: ControlDirectory) throws -> Bool {
        guard let format = try control.line("bounceformat"), !format.isEmpty else { return false }
        if format == Array("qsbmf".utf8) { return true }
        guard format == Array("report".utf8) else {
            throw ControlFileError(file: control.file("bounceformat"), line: 1, problem: "knows qsbmf and report only, not \(logsafe(format))")
        }
        return false
    }

    private static func count(_ control: ControlDirectory, _ name: String, _ standard: Int) throws -> Int {
        // More processes and connections than this no machine has.
        Int(min(try control.integer(name) ?? UInt64(standard), 1_000_000))
    }
}
