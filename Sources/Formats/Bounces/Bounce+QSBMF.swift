private import Bytes

// The qmail-send bounce message format. Its parsers (ezmlm-return and many scripts, spec-qmail §8.4) read: a paragraph that begins
// `Hi. This is the`; paragraphs that begin with `<`, one a recipient; the first paragraph that begins with `-` ends the list; after its empty line
// the original begins.
extension Bounce {
    /// From the greeting to the original's Return-Path. `clean` is applied to each paragraph.
    func appendQSBMF(to output: inout [UInt8], _ clean: ([UInt8]) -> [UInt8]) {
        appendIntroduction(to: &output)
        for failure in failures { output.append(contentsOf: clean(failure.paragraph)) }
        switch kind {
        case .single: output.append("--- Below this line is a copy of the message.\n\n")
        case .double: output.append("--- Below this line is the original bounce.\n\n")
        }
        appendReturnPath(to: &output)
    }

    func appendIntroduction(to output: inout [UInt8]) {
        output.append("Hi. This is the qmail-send program at ")
        output.append(contentsOf: from.host)
        output.append(".\n")
        switch kind {
        case .single:
            output.append("I'm afraid I wasn't able to deliver your message to the following addresses.\n")
            output.append("This is a permanent error; I've given up. Sorry it didn't work out.\n")
        case .double:
            output.append("I tried to deliver a bounce message to this address, but the bounce bounced!\n")
        }
        // Within the first paragraph: parsers take any other for a recipient's or the end.
        if copy != .whole { output.append(contentsOf: "The message is \(originalSize) bytes long; only its header is returned.\n".utf8) }
        output.append(ASCII.lf)
    }

    /// The first line of the original's copy, as qmail writes it.
    func appendReturnPath(to output: inout [UInt8]) {
        output.append("Return-Path: <")
        if kind == .single { output.append(contentsOf: recipient.quoted) }
        output.append(">\n")
    }
}
