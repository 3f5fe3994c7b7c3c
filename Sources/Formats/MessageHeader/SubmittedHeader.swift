package import Addresses
private import Bytes
private import Dates

/// What a site adds to the headers of its users' messages.
package struct HeaderCompletion: Sendable {
    package var rewriting: AddressRewriting
    /// The right side of Message-IDs.
    package var idHost: [UInt8]
    /// In Message-IDs: no other message of the same second has it.
    package var uniqueName: String

    package init(rewriting: AddressRewriting, idHost: [UInt8], uniqueName: String) {
        self.rewriting = rewriting
        self.idHost = idHost
        self.uniqueName = uniqueName
    }
}

/// The header of a message that a client hands in after its login, held until its end (RFC 6409 §8, spec-qmail §11): a missing Date, Message-ID or From
/// is added, addresses without host or domain get those of the site, and Bcc, Return-Path and Content-Length go. A Bcc that a client leaves in would
/// tell every recipient of the others.
///
/// All other fields keep their bytes: unlike qmail-inject this rewrites none that is complete, as it may be signed.
package struct SubmittedHeader: Sendable {
    private let completion: HeaderCompletion
    private let sender: Address
    private let now: UInt64
    private var splitter = HeaderSplitter()
    private var line: [UInt8] = []

    /// - Parameter now: seconds since 1970.
    package init(_ completion: HeaderCompletion, sender: Address, now: UInt64) {
        self.completion = completion
        self.sender = sender
        self.now = now
    }

    /// - Parameter content: more of the message, with LF line ends.
    /// - Returns: once the header has ended, all of it, and what of the body came with it. Then nothing more is to be given.
    package mutating func take(_ content: [UInt8]) -> [UInt8]? {
        var rest = content[...]
        while let end = rest.firstIndex(of: ASCII.lf) {
            line += rest[...end]
            rest = rest[(end + 1)...]
            if let header = takeLine() { return header + rest }
        }
        line += rest
        return nil
    }

    /// The message has ended within its header.
    package mutating func finish() -> [UInt8] {
        if !line.isEmpty, let header = takeLine() { return header }
        splitter.finish()
        return completed
    }

    private mutating func takeLine() -> [UInt8]? {
        let whole = line
        line = []
        switch splitter.take(whole[...]) {
        case .header: return nil
        case .separator: return completed + [ASCII.lf]
        case .body: return completed + [ASCII.lf] + whole
        }
    }

    private var completed: [UInt8] {
        let present = Set(splitter.fields.map(\.kind))
        var result: [UInt8] = []
        if !present.contains(.date) { result += "Date: \(MailDate(now).header)\n".utf8 }
        if !present.contains(.messageID) {
            result += "Message-ID: <\(MailDate(now).compact).\(completion.uniqueName).qmail@".utf8
            result += completion.idHost + [ASCII.greater, ASCII.lf]
        }
        if !present.contains(.from), !sender.isNull { result += Array("From: <".utf8) + sender.quoted + [ASCII.greater, ASCII.lf] }
        return splitter.fields.reduce(into: result) { $0 += kept($1) }
    }

    private func kept(_ field: HeaderField) -> [UInt8] {
        switch field.kind {
        case .bcc, .resentBcc, .returnPath, .contentLength: return []
        case let kind where kind.isRecipients || kind.isOriginator:
            var list = AddressList(completion.rewriting)
            list.read(field.value)
            guard list.isComplete, field.addresses.map({ !$0.elementsEqual(list.envelopeForms) }) ?? true else { return field.bytes }
            var bytes: [UInt8] = []
            list.list.print(as: field.name, into: &bytes)
            return bytes
        default: return field.bytes
        }
    }
}
