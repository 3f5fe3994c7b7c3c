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
        work.reserveRoom(for: fields)
        for field in fields { try work.take(field) }
        sender = try work.sender()
        recipients = work.recipients
        bytes = work.newFields + work.kept
    }
}

private struct Completion {
    private let settings: SubmissionSettings
    private(set) var kept: [UInt8] = []
    private var present = PresentFields()
    private var fromArguments: [[UInt8]] = []
    private var fromHeader: [[UInt8]] = []
    private var fromResent: [[UInt8]] = []
    private var returnPath: [UInt8]?
    /// Each To and Cc; kept only where a mailing list is looked for.
    private var visible: [AddressList] = []
    /// Of the field at hand.
    private var list: AddressList

    init(_ settings: SubmissionSettings) {
        self.settings = settings
        list = AddressList(settings.rewriting)
    }

    mutating func reserveRoom(for fields: [HeaderField]) { kept.reserveCapacity(fields.reduce(0) { $0 + $1.bytes.count }) }

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
            guard returnPath == nil, !settings.style.contains(.ignoreReturnPath) else { return }
            list.read(field.value)
            returnPath = list.envelopeForms.first { _ in true }
        case let kind where kind.isRecipients: takeRecipients(field)
        case let kind where kind.isOriginator:
            list.read(field.value)
            guard list.isComplete else { throw .field(field.bytes) }
            list.list.print(as: field.name, into: &kept)
        default: kept += field.bytes
        }
    }

    /// What cannot be read stays as it is; the recipients right of the error still count.
    private mutating func takeRecipients(_ field: HeaderField) {
        list.read(field.value)
        if field.kind.isResent { fromResent += list.envelopeForms } else { fromHeader += list.envelopeForms }
        if !settings.mailingLists.isEmpty, field.kind == .to || field.kind == .cc { visible.append(list) }
        guard field.kind != .bcc, field.kind != .resentBcc else { return }
        if list.isComplete { list.list.print(as: field.name, into: &kept) } else { kept += field.bytes }
    }

    // MARK: - Envelope

    var recipients: [[UInt8]] {
        let header = present.isResent ? fromResent : fromHeader
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
        let address = mailbox(user, settings.senderHost ?? settings.host).envelopeForms.first { _ in true } ?? []
        return verp ? address + "-@[]".utf8 : address
    }

    /// Read as a list, as qmail-inject does: a host of two words makes two addresses, of which the last counts.
    private func mailbox(_ user: [UInt8], _ host: [UInt8]?) -> AddressList {
        var list = AddressList(settings.rewriting)
        list.read { tokens in
            tokens.append(localPart: user[...])
            if let host {
                tokens.append(.at)
                tokens.append(host: host)
            }
            return true
        }
        return list
    }

    // MARK: - New fields

    var newFields: [UInt8] { present.isResent ? resentFields : plainFields }

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
        var tokens = mailbox(settings.user, settings.host).list
        if let personalName = settings.personalName {
            if settings.style.contains(.nameAsComment) { tokens.append(.comment, personalName) } else { tokens.bracket(after: personalName) }
        }
        var field: [UInt8] = []
        tokens.print(as: Array(name.utf8)[...], into: &field)
        return field
    }

    /// Every address of To and Cc, when one of them is a mailing list the user reads (spec-qmail §11.3).
    private var mailFollowupTo: [UInt8] {
        guard !present.contains(.mailFollowupTo),
            visible.contains(where: { $0.envelopeForms.contains { settings.mailingLists.contains($0) } })
        else { return [] }
        let lines = visible.reversed().flatMap { list in
            Array(list.addresses).reversed().map { Address(list.list.envelopeForm($0))?.quoted ?? list.list.printed($0) }
        }
        return Array("Mail-Followup-To: ".utf8) + lines.joined(separator: Array(",\n  ".utf8)) + [ASCII.lf]
    }
}

/// Which kinds of fields a header has.
private struct PresentFields {
    private var bits: UInt32 = 0
    private(set) var isResent = false

    mutating func insert(_ kind: HeaderField.Kind) {
        bits |= 1 << kind.rawValue
        if kind.isResent { isResent = true }
    }

    func contains(_ kind: HeaderField.Kind) -> Bool { bits & 1 << kind.rawValue != 0 }
}
