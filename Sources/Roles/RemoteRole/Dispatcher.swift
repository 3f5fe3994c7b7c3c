private import Bytes
private import ClientTLS
private import ControlFiles
private import Frames
internal import NIOCore
internal import Posix
private import RemoteDelivery

/// The plain thread's work: takes deliveries from the queue, finds where they go, hands them to the courier, and carries the outcomes back.
final class Dispatcher {
    /// Seconds that deliveries under way get when the role has to end.
    private static let farewell = 10.0

    private let loop: Posix.EventLoop
    private let sending: any NIOCore.EventLoop
    private let settings: Watched<RemoteSettings?>
    private let names: NameClient
    private let directory: HostDirectory
    private let programs: ProgramErrands
    private var authorities: (file: String, value: TrustedAuthorities)?
    private var queue: QueueLink?
    private var courier: NIOLoopBound<Courier>?
    private var errands: [Errand] = []
    private var underWay = 0
    private var isStopping = false
    private var settingsAreFresh = false

    init(on loop: Posix.EventLoop, sending: any NIOCore.EventLoop) throws {
        self.loop = loop
        self.sending = sending
        let control = ControlDirectory()
        settings = try Self.watch(control)
        names = NameClient(on: loop)
        directory = HostDirectory(on: loop, asking: names)
        programs = ProgramErrands(on: loop)
        let link = QueueLink(on: loop) { [unowned self] request, descriptor, connection in take(request, descriptor, connection) }
        queue = link
        let outbox = try Outbox(on: loop) { [unowned self] in for outcome in $0 { finish(outcome) } }
        courier = try sending.submit { NIOLoopBound(try Courier(on: sending, outbox), eventLoop: sending) }.wait()
        names.start()
        link.start()
    }

    /// Control files that cannot be read defer deliveries, as in qmail, and are looked at again; they do not end the role.
    private static func watch(_ control: ControlDirectory) throws -> Watched<RemoteSettings?> {
        var isFirst = true
        return try Watched(
            RemoteSettings.files.map { control.file($0) },
            load: {
                defer { isFirst = false }
                do {
                    return try RemoteSettings(control)
                } catch {
                    guard isFirst else { throw error }
                    log("alert: remote defers all mail: \(error)")
                    return nil
                }
            },
            complain: { log("alert: remote keeps its old settings: \($0)") })
    }

    private func take(_ request: Delivery.Request, _ descriptor: consuming Posix.FileDescriptor?, _ connection: UInt64) {
        guard !isStopping else { return }
        underWay += 1
        let ticket = Errand.Ticket(slot: request.slot, connection: connection)
        let giveUp = { [unowned self] (report: DeliveryReport) in
            finish(Errand.Outcome(ticket: ticket, reports: request.recipients.map { _ in report }))
        }
        guard let settings = currentSettings() else { return giveUp(DeliveryTexts.noControls) }
        guard let content = Self.content(descriptor) else { return giveUp(DeliveryTexts.unreadable) }
        // A relay that the administrator named for these recipients is ours to reach: a program is told hosts only.
        if let program = settings.program, request.relay.isEmpty {
            let isWanted = { [unowned self] in queue?.connection == connection }
            return programs.deliver(request, content, by: program, seconds: settings.programTimeout, while: isWanted) { [unowned self] in
                finish(Errand.Outcome(ticket: ticket, reports: $0))
            }
        }
        guard let heloHost = settings.heloHost else { return giveUp(DeliveryTexts.noControls) }
        // A relay that cannot be read says nothing of who may have the mail instead.
        guard let route = request.relay.isEmpty ? settings.routes.route(for: request.host) : SMTPRoutes.route(Array(request.relay)) else {
            return giveUp(DeliveryTexts.noControls)
        }
        let destination: Destination =
            switch route {
            case .exchangers: .domain(request.host.lowercasedASCII())
            case .relay(let relay): .relay(relay)
            }
        // Of an empty host the search says how it is spelled.
        guard !request.host.isEmpty || request.recipients.contains(where: { $0.domain != nil }) else { return giveUp(DeliveryTexts.noHostName) }
        directory.find(destination, moreOwn: settings.moreOwnAddresses) { [unowned self] answer in
            switch answer {
            case .ended(let report): giveUp(report)
            case .found(let plan):
                var password: [UInt8] = []
                if let login = plan.login {
                    switch PasswordFile.read(login.passwordFile) {
                    case .unusable(let report): return giveUp(report)
                    case .password(let line): password = line
                    }
                }
                dispatch(
                    Errand(
                        ticket: ticket, destination: destination, plan: plan, sender: request.sender, recipients: request.recipients,
                        content: content, heloHost: heloHost, connectTimeout: Int64(settings.connectTimeout),
                        remoteTimeout: Int64(settings.remoteTimeout), password: password, authorities: trusted(settings)))
            }
        }
    }

    /// Looked at once for all deliveries that came together.
    private func currentSettings() -> RemoteSettings? {
        guard !settingsAreFresh else { return settings.value }
        settingsAreFresh = true
        loop.atEndOfTurn { [weak self] in self?.settingsAreFresh = false }
        return settings.refreshed()
    }

    private func trusted(_ settings: RemoteSettings) -> TrustedAuthorities {
        let file = settings.authoritiesFile?.text ?? TrustedAuthorities.standardFile
        if let authorities, authorities.file == file { return authorities.value }
        let value = TrustedAuthorities(file)
        authorities = (file, value)
        return value
    }

    private static func content(_ descriptor: consuming Posix.FileDescriptor?) -> MessageContent? {
        guard let descriptor = descriptor.take() else { return nil }
        return try? MessageContent(descriptor)
    }

    /// Errands of one turn go to the event loop together.
    private func dispatch(_ errand: Errand) {
        errands.append(errand)
        guard errands.count == 1 else { return }
        loop.atEndOfTurn { [weak self] in self?.sendErrands() }
    }

    private func sendErrands() {
        let batch = errands
        errands = []
        // A lost queue has taken its deliveries back; what has not begun must not begin.
        let wanted = batch.filter { $0.ticket.connection == queue?.connection }
        underWay -= batch.count - wanted.count
        if isStopping, underWay == 0 { return end() }
        guard let courier else { return }
        sending.execute { courier.value.deliver(wanted) }
    }

    private func finish(_ outcome: Errand.Outcome) {
        queue?.answer(outcome)
        underWay -= 1
        if isStopping, underWay == 0 { end() }
    }

    // MARK: The end

    /// Nothing new is begun; what is under way gets its time.
    func stop() {
        guard !isStopping else { return }
        isStopping = true
        if underWay == 0 { return end() }
        loop.after(seconds: Self.farewell) { [weak self] in self?.end() }
    }

    private func end() {
        programs.end()
        if let courier { try? sending.submit { courier.value.closeIdle(olderThan: .nanoseconds(0)) }.wait() }
        // After the answers of this turn have left.
        loop.atEndOfTurn { [loop] in loop.stop() }
    }
}
