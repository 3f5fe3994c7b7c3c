private import Addresses
private import Bytes
internal import Frames
private import Glibc
internal import MailboxStorage
private import Posix

/// One message on its way through one user's instructions, and what its programs have said so far.
struct DeliveryRun {
    private let request: WorkerRequest
    private let message: MessageContent
    private let lines: TraceLines
    private let home: Home
    private let maildirs: MaildirCache
    private let programs: LocalDelivery.Programs
    private var files = 0
    private var programCount = 0
    private var recipients: [Address] = []
    private(set) var output: [UInt8] = []

    init(
        _ request: WorkerRequest, _ message: MessageContent, _ lines: TraceLines, _ home: Home, _ maildirs: MaildirCache,
        _ programs: LocalDelivery.Programs
    ) {
        self.request = request
        self.message = message
        self.lines = lines
        self.home = home
        self.maildirs = maildirs
        self.programs = programs
    }

    /// In order; forwards leave last, together. Any failure stops at once: earlier lines run again at the next attempt (spec-qmail §7.4).
    mutating func run(_ instructions: [DotQmail.Instruction], defaultExtension: ArraySlice<UInt8>?) throws(Undeliverable) {
        let sender = try newSender(request, home)
        execution: for instruction in instructions {
            switch instruction {
            case .maildir(let path): try deliver(toMaildir: path)
            case .mbox(let path): try deliver(toMbox: path)
            case .program(let command):
                programCount += 1
                guard try runProgram(command, sender, defaultExtension) else { break execution }
            case .forward(let address): recipients.append(try DeliveryRun.recipient(address))
            case .forbiddenFile: throw .forbiddenFile
            case .forbiddenProgram: throw .forbiddenProgram
            }
        }
        let number = recipients.isEmpty ? nil : try forwarding(sender).queue(lines.deliveredTo, message)
        output += Array("did \(files)+\(recipients.count)+\(programCount)\n".utf8)
        if let number { output += Array("qp \(number)\n".utf8) }
    }

    private func forwarding(_ sender: [UInt8]) -> Forwarding {
        Forwarding(sender: sender, recipients: recipients, isDirect: programs == .forbidden)
    }

    private mutating func deliver(toMaildir path: [UInt8]) throws(Undeliverable) {
        files += 1
        do throws(MaildirFailure) {
            let maildir = try maildirs.maildir(path, in: home.directory)
            try maildir.deliver(lines.returnPath + lines.deliveredTo, message, within: try quota(of: path, maildir))
        } catch {
            throw error == .overQuota ? .failed(error.text) : .deferred(error.text)
        }
    }

    /// A folder of Maildir++, `./Maildir/.name/`, is part of what `./Maildir/` holds.
    private func quota(of path: [UInt8], _ maildir: Maildir) throws(MaildirFailure) -> MaildirQuota? {
        guard let limits = MaildirLimits(request.settings.quota) else { return nil }
        guard let root = MaildirQuota.root(of: path) else { return MaildirQuota(limits, of: maildir) }
        return MaildirQuota(limits, of: try maildirs.maildir(root, in: home.directory))
    }

    private mutating func deliver(toMbox path: [UInt8]) throws(Undeliverable) {
        files += 1
        let head = TraceLines.fromLine(request.sender, now: unixTime()) + lines.returnPath + lines.deliveredTo
        do throws(MboxFailure) {
            try Mbox.append(head, message, to: path, in: home.directory)
        } catch {
            switch error {
            case .cannotOpen(let error): throw .trouble("Unable to open", path, error.reason, "4.2.1")
            case .locked: throw .deferred("File has been locked for \(Mbox.lockSeconds) seconds straight. (#4.3.0)\n")
            case .cannotReadMessage(let error): throw .deferred("Unable to read message: \(error.reason). (#4.3.0)\n")
            case .cannotWrite(let error): throw .trouble("Unable to write", path, error.reason, "4.3.0")
            }
        }
    }

    private static func recipient(_ address: [UInt8]) throws(Undeliverable) -> Address {
        guard address.count <= Address.maxBytes else { throw .failed("Unable to forward message: \(QueueRefusal.addressTooLong.text).\n") }
        guard let recipient = Address(address) else { throw .deferred("Uh-oh: .qmail has an address with a control character. (#4.3.5)\n") }
        return recipient
    }

    /// - Returns: false when the program wants no further lines.
    private mutating func runProgram(_ command: [UInt8], _ sender: [UInt8], _ defaultExtension: ArraySlice<UInt8>?) throws(Undeliverable) -> Bool {
        let environment = DeliveryEnvironment(request, lines, newSender: sender, defaultExtension: defaultExtension, now: unixTime())
        let program = UserProgram(
            command, environment.variables, home: home.path, hasOwnGroup: programs == .report, seconds: request.settings.programSeconds)
        let end =
            switch programs {
            case .report: try program.run(message, reporting: &output)
            case .inherited: try program.run(message)
            case .forbidden: throw .programsAreOff
            }
        switch end {
        case .exited(0): return true
        case .exited(99): return false
        case .exited(100), .exited(64), .exited(65), .exited(70), .exited(76), .exited(77), .exited(78), .exited(112): throw .failed("")
        case .exited: throw .deferred("")
        case .killed: throw .deferred("Aack, child crashed. (#4.3.0)\n")
        }
    }
}
