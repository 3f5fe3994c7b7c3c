private import Addresses
private import Bytes
private import Dates

/// The header of a message that was handed in, made complete, with its envelope (spec-qmail §11).
///
/// Module `MessageHeader` is qmail-inject's head without its hands: it reads no environment, file or clock, and never looks at the body.
package struct CompletedHeader: Equatable, Sendable {
    /// New fields, then those kept; without the empty line.
    package private(set) var bytes: [UInt8] = []
    /// In envelope form. It may hold what ``Address`` refuses, as a CR: whoever passes it on decides.
    package private(set) var sender: [UInt8] = []
    package private(set) var recipients: [[UInt8]] = []

    package init(_ fields: [HeaderField], _ settings: SubmissionSettings) throws(SubmissionError) {
        var work = Completion(settings)
        for argument in settings.arguments { try work.take(argument: argument) }
        for field in fields { try work.take(field) }
        sender = try work.sender()
        recipients = work.recipients
        bytes = work.newFields + work.kept
    }
}

private struct Completion {
    private let settings: SubmissionSettings
    private(set) var kept: [UInt8] = []
    private var present: Set<HeaderField.Kind> = []
    private var fromArguments: [[UInt8]] = []
    private var fromHeader: [[UInt8]] = []
    private var fromResent: [[UInt8]] = []
    private var returnPath: [UInt8]?
    /// The addresses of each To and Cc, left to right; kept only where a mailing list is looked for.
    private var visible: [[ArraySlice<HeaderToken>]] = []

    init(_ settings: SubmissionSettings) { self.settings = settings }

    mutating func take(argument: [UInt8]) throws(SubmissionError) {
        guard let address = settings.rewriting.rewrittenArgument(argument) else { throw .address(argument) }
        fromArguments.append(address.envelopeForm)
    }

    mutating func take(_ field: HeaderField) throws(SubmissionError) {
        present.insert(field.kind)
        switch field.kind {
        case .contentLength: return
        case .from where settings.style.contains(.deleteFrom), .messageID where settings.style.contains(.deleteMessageID): return
        case .returnPath:
            if returnPath == nil, !settings.style.contains(.ignoreReturnPath) { returnPath = list(field)?.addresses.first?.envelopeForm }
            return
        case let kind where kind.isRecipients: takeRecipients(field)
        case let kind where kind.isOriginator:
            guard let list = list(field), list.isComplete else { throw .field(field.bytes) }
            kept += list.tokens.printed(as: field.name)
        default: kept += field.bytes
        }
    }

    private func list(_ field: HeaderField) -> AddressList? {
        HeaderTokenizer.tokens(field.value).map { AddressList($0, settings.rewriting) }
    }

    /// What cannot be read stays as it is; the recipients right of the error still count.
    private mutating func takeRecipients(_ field: HeaderField) {
        let list = list(field)
        let addresses = (list?.addresses ?? []).map(\.envelopeForm)
        if field.kind.isResent { fromResent += addresses } else { fromHeader += addresses }
        if !settings.mailingLists.isEmpty, field.kind == .to || field.kind == .cc { visible.append((list?.addresses ?? []).reversed()) }
        guard field.kind != .bcc, field.kind != .resentBcc else { return }
        if let list, list.isComplete { kept += list.tokens.printed(as: field.name) } else { kept += field.bytes }
    }

    private var isResent: Bool { present.contains(where: \.isResent) }

    // MARK: - Envelope

    var recipients: [[UInt8]] {
        let header = isResent ? fromResent : fromHeader
        return switch settings.recipientSource {
        case .arguments: fromArguments
        case .header: header
        case .argumentsElseHeader: fromArguments.isEmpty ? header : fromArguments
        case .both: fromArguments + header
        }
    }

    /// spec-qmail §11.2
    func sender() throws(SubmissionError) -> [UInt8] {
        let verp = settings.style.contains(.verpPerRecipient)
        if let given = settings.sender {
            guard let address = settings.rewriting.rewrittenArgument(given) else { throw .address(given) }
            return address.envelopeForm
        }
        if let returnPath { return verp ? returnPath + "-@[]".utf8 : returnPath }
        var user = settings.senderUser ?? settings.user
        if settings.style.contains(.verpPerMessage) { user += "-\(settings.now).\(settings.processID)".utf8 }
        if verp { user.append(ASCII.hyphen) }
        let address = mailbox(user, settings.senderHost ?? settings.host).addresses.first?.envelopeForm ?? []
        return verp ? address + "-@[]".utf8 : address
    }

    /// Read as a list, as qmail-inject does: a host of two words makes two addresses, of which the last counts.
    private func mailbox(_ user: [UInt8], _ host: [UInt8]?) -> AddressList {
        let host = host.map { [.at] + AddressRewriting.hostTokens($0) } ?? []
        return AddressList([AddressRewriting.localPart(user[...])] + host, settings.rewriting)
    }

    // MARK: - New fields

    var newFields: [UInt8] { isResent ? resentFields : plainFields }

    private var plainFields: [UInt8] {
        var result: [UInt8] = []
        if !present.contains(.date) { result += date("Date") }
        if !present.contains(.messageID) || settings.style.contains(.deleteMessageID) { result += messageID("Message-ID") }
        if !present.contains(.from) || settings.style.contains(.deleteFrom) { result += from("From") }
        if !present.contains(.to), !present.contains(.cc) { result += "Cc: recipient list not shown: ;\n".utf8 }
        return result + mailFollowupTo
    }

    private var resentFields: [UInt8] {
        var result: [UInt8] = []
        if !present.contains(.resentDate) { result += date("Resent-Date") }
        if !present.contains(.resentMessageID) { result += messageID("Resent-Message-ID") }
        if !present.contains(.resentFrom) { result += from("Resent-From") }
        if !present.contains(.resentTo), !present.contains(.resentCc) { result += "Resent-Cc: recipient list not shown: ;\n".utf8 }
        return result
    }

    private func date(_ name: String) -> [UInt8] { Array("\(name): \(MailDate(settings.now).header)\n".utf8) }

    private func messageID(_ name: String) -> [UInt8] {
        Array("\(name): <\(MailDate(settings.now).compact).\(settings.processID).qmail@".utf8) + settings.idHost + [ASCII.greater, ASCII.lf]
    }

    private func from(_ name: String) -> [UInt8] {
        let address = mailbox(settings.user, settings.host).tokens
        var tokens = address
        if let personalName = settings.personalName {
            let asComment = settings.style.contains(.nameAsComment)
            tokens = asComment ? address + [.comment(personalName)] : [.quoted(personalName), .left] + address + [.right]
        }
        return tokens.printed(as: Array(name.utf8)[...])
    }

    /// Every address of To and Cc, when one of them is a mailing list the user reads (spec-qmail §11.3).
    private var mailFollowupTo: [UInt8] {
        let addresses = visible.reversed().flatMap { $0 }
        guard !present.contains(.mailFollowupTo), addresses.contains(where: { settings.mailingLists.contains($0.envelopeForm.lowercasedASCII()) })
        else { return [] }
        let lines = addresses.map { Address($0.envelopeForm)?.quoted ?? $0.printed }
        return Array("Mail-Followup-To: ".utf8) + lines.joined(separator: Array(",\n  ".utf8)) + [ASCII.lf]
    }
}
