package import Frames
internal import MailboxStorage
package import Posix

/// What qmail-local does with one message (spec-qmail §7), for the deliveries of one user. Several run at once, on threads of their caller,
/// which must ignore SIGPIPE.
///
/// It runs as the user and must not know the queue, routing or other users. What holds: success is said only when every instruction has been
/// carried out; trouble of the system is a deferral.
package final class LocalDelivery: Sendable {
    private let homes = HomeKeeper()
    private let maildirs = MaildirCache()
    private let programs: Programs

    /// What becomes of command lines.
    package enum Programs: Sendable {
        /// They run; what they print goes into the report.
        case report
        /// They run; what they print goes where this process prints.
        case inherited
        /// They defer the delivery; forwards are handed to the queue without a program.
        case forbidden
    }

    package init(_ programs: Programs = .report) { self.programs = programs }

    /// Delivers by the user's instructions. Home, `.qmail` and Maildir are looked at anew each time.
    package func deliver(_ request: WorkerRequest, _ message: consuming FileDescriptor?) -> DeliveryReport {
        do throws(Undeliverable) {
            return try run(request, try LocalDelivery.content(message))
        } catch {
            return error.report
        }
    }

    private func run(_ request: WorkerRequest, _ message: MessageContent) throws(Undeliverable) -> DeliveryReport {
        let (home, isSticky) = try homes.home(Array(request.home))
        if isSticky { throw .isSticky }
        let lines = TraceLines(sender: request.sender, localPart: request.localPart, domain: request.domain)
        try LocalDelivery.checkLoop(lines, message)
        let file = try DotQmailFile.find(in: home, dash: request.dash, ext: request.ext)
        let instructions = try LocalDelivery.instructions(request, file)
        var run = DeliveryRun(request, message, lines, home, maildirs, programs)
        do throws(Undeliverable) {
            try run.run(instructions, defaultExtension: file?.defaultExtension)
            return DeliveryReport(.delivered, DeliveryText.limited(run.output))
        } catch {
            return DeliveryReport(error.report.outcome, DeliveryText.limited(run.output + error.report.text))
        }
    }

    /// Does nothing but tell what ``deliver(_:_:)`` would do with a message that has not been here before (spec-qmail §7.8).
    package func describe(_ request: WorkerRequest) -> DeliveryDescription {
        var description = DeliveryDescription()
        do throws(Undeliverable) {
            let (home, isSticky) = try homes.home(Array(request.home))
            description.isSticky = isSticky
            let file = try DotQmailFile.find(in: home, dash: request.dash, ext: request.ext)
            let instructions = try LocalDelivery.instructions(request, file)
            _ = try newSender(request, home)
            try description.add(instructions)
        } catch {
            description.failure = error
        }
        return description
    }

    /// Whether mail would find a `.qmail`, as far as can be told without any.
    package func answer(_ probe: WorkerProbe) -> Route.Verdict {
        do throws(Undeliverable) {
            let (home, isSticky) = try homes.home(Array(probe.home))
            // The user is at work on these files: mail would wait.
            if isSticky { return .unknown }
            guard try DotQmailFile.find(in: home, dash: probe.dash, ext: probe.ext) == nil else { return .exists }
            return probe.dash.isEmpty ? .exists : .nonexistent
        } catch {
            // Mail would wait: it is taken.
            return .unknown
        }
    }

    private static func content(_ message: consuming FileDescriptor?) throws(Undeliverable) -> MessageContent {
        guard let descriptor = consume message else { throw .deferred("Unable to read message: file descriptor not open. (#4.3.0)\n") }
        do throws(SystemError) {
            return try MessageContent(descriptor)
        } catch {
            throw .deferred("Unable to read message: \(error.reason). (#4.3.0)\n")
        }
    }

    private static func checkLoop(_ lines: TraceLines, _ message: MessageContent) throws(Undeliverable) {
        var check = LoopCheck(lines.deliveredTo)
        var finding = check.scan(message.head)
        do throws(SystemError) {
            if finding == .needsMore {
                try message.forEachChunkAfterHead { chunk in
                    finding = check.scan(chunk)
                    return finding == .needsMore
                }
            }
        } catch {
            throw .deferred("Unable to read message: \(error.reason). (#4.3.0)\n")
        }
        if finding == .looping { throw .failed("This message is looping: it already has my Delivered-To line. (#5.4.6)\n") }
    }

    /// The user's own, or the default where there are none or an empty file.
    private static func instructions(_ request: WorkerRequest, _ file: DotQmailFile?) throws(Undeliverable) -> [DotQmail.Instruction] {
        guard file != nil || request.dash.isEmpty else { throw .failed("Sorry, no mailbox here by that name. (#5.1.1)\n") }
        do throws(DotQmail.Failure) {
            if let file, !file.text.isEmpty { return try DotQmail(file.text, isForwardOnly: file.isForwardOnly).instructions }
            return try DotQmail(request.settings.defaultDelivery).instructions
        } catch {
            throw .deferred("Uh-oh: first line of .qmail file is blank. (#4.2.1)\n")
        }
    }
}
