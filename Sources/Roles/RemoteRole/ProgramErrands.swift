private import Addresses
internal import Frames
internal import Posix
internal import RemoteDelivery

/// Deliveries by `control/remoteprogram`. It runs once for each recipient, as qmail-rspawn runs qmail-remote, and for those of one delivery one after
/// the other: so the programs that run at a time are as many as the queue has deliveries under way.
final class ProgramErrands {
    private final class Progress {
        let request: Delivery.Request
        let content: MessageContent
        let program: [UInt8]
        let seconds: UInt64
        var reports: [DeliveryReport] = []

        init(_ request: Delivery.Request, _ content: MessageContent, _ program: [UInt8], seconds: UInt64) {
            self.request = request
            self.content = content
            self.program = program
            self.seconds = seconds
        }
    }

    private let loop: EventLoop
    private var runs: [UInt64: ProgramRun] = [:]
    private var lastRun: UInt64 = 0
    private var isEnding = false

    init(on loop: EventLoop) { self.loop = loop }

    /// - Parameters:
    ///   - seconds: for each recipient.
    ///   - isWanted: asked between two recipients; those that follow when nobody wants them any more are deferred.
    ///   - completion: called once, with a report for each recipient.
    func deliver(
        _ request: Delivery.Request, _ content: MessageContent, by program: [UInt8], seconds: UInt64, while isWanted: @escaping () -> Bool,
        _ completion: @escaping ([DeliveryReport]) -> Void
    ) {
        goOn(Progress(request, content, program, seconds: seconds), isWanted, completion)
    }

    /// The role ends: so shall they.
    func end() {
        isEnding = true
        for run in runs.values { run.end() }
    }

    private func goOn(_ errand: Progress, _ isWanted: @escaping () -> Bool, _ completion: @escaping ([DeliveryReport]) -> Void) {
        let recipients = errand.request.recipients
        guard errand.reports.count < recipients.count else { return completion(errand.reports) }
        let recipient = recipients[errand.reports.count]
        guard let host = recipient.domain else {
            errand.reports.append(DeliveryTexts.noHostName)
            return goOn(errand, isWanted, completion)
        }
        guard !isEnding, isWanted() else {
            return completion(errand.reports + recipients.dropFirst(errand.reports.count).map { _ in DeliveryTexts.programNotRunNow })
        }
        let arguments = [errand.program, Array(host), errand.request.sender.bytes, recipient.bytes]
        lastRun += 1
        let number = lastRun
        do throws(SystemError) {
            runs[number] = try ProgramRun(on: loop, arguments, errand.content, ofRecipients: recipients.count, seconds: errand.seconds) { [self] in
                runs[number] = nil
                errand.reports.append($0)
                goOn(errand, isWanted, completion)
            }
        } catch {
            log("warning: remote: unable to run \(logsafe(errand.program)): \(error.reason)")
            completion(errand.reports + recipients.dropFirst(errand.reports.count).map { _ in DeliveryTexts.programNotRunNow })
        }
    }
}
