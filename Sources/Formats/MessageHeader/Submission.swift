/// How a message that a user or program hands in is to be completed: options, environment and control files of qmail-inject (spec-qmail §11.1).
package struct SubmissionSettings: Sendable {
    /// Where recipients come from.
    package enum RecipientSource: Sendable {
        /// -a
        case arguments
        /// -h
        case header
        /// -A: arguments if there are any.
        case argumentsElseHeader
        /// -H
        case both
    }

    /// The letters of `QMAILINJECT`.
    package struct Style: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        /// c: the name of the default From as a comment.
        package static let nameAsComment = Style(rawValue: 1)
        /// s
        package static let ignoreReturnPath = Style(rawValue: 2)
        /// f
        package static let deleteFrom = Style(rawValue: 4)
        /// i
        package static let deleteMessageID = Style(rawValue: 8)
        /// r
        package static let verpPerRecipient = Style(rawValue: 16)
        /// m
        package static let verpPerMessage = Style(rawValue: 32)

        /// Other letters are ignored.
        package init(letters: [UInt8]) {
            self = []
            for letter in letters {
                switch letter {
                case UInt8(ascii: "c"): insert(.nameAsComment)
                case UInt8(ascii: "s"): insert(.ignoreReturnPath)
                case UInt8(ascii: "f"): insert(.deleteFrom)
                case UInt8(ascii: "i"): insert(.deleteMessageID)
                case UInt8(ascii: "r"): insert(.verpPerRecipient)
                case UInt8(ascii: "m"): insert(.verpPerMessage)
                default: break
                }
            }
        }
    }

    package var rewriting: AddressRewriting
    /// The right side of Message-IDs.
    package var idHost: [UInt8]
    /// Of the default From and sender; without host, `defaulthost` is taken.
    package var user: [UInt8]
    package var host: [UInt8]?
    package var personalName: [UInt8]?
    /// Of the default sender alone.
    package var senderUser: [UInt8]?
    package var senderHost: [UInt8]?
    package var style: Style
    package var recipientSource: RecipientSource
    package var arguments: [[UInt8]]
    /// -f
    package var sender: [UInt8]?
    /// The addresses of `QMAILMFTFILE`; empty without it.
    package var mailingLists: MailingLists
    /// Seconds since 1970.
    package var now: UInt64
    package var processID: Int32

    package init(
        rewriting: AddressRewriting, idHost: [UInt8], user: [UInt8], host: [UInt8]? = nil, personalName: [UInt8]? = nil, senderUser: [UInt8]? = nil,
        senderHost: [UInt8]? = nil, style: Style = [], recipientSource: RecipientSource = .argumentsElseHeader, arguments: [[UInt8]] = [],
        sender: [UInt8]? = nil, mailingLists: MailingLists = MailingLists([]), now: UInt64, processID: Int32
    ) {
        self.rewriting = rewriting
        self.idHost = idHost
        self.user = user
        self.host = host
        self.personalName = personalName
        self.senderUser = senderUser
        self.senderHost = senderHost
        self.style = style
        self.recipientSource = recipientSource
        self.arguments = arguments
        self.sender = sender
        self.mailingLists = mailingLists
        self.now = now
        self.processID = processID
    }
}

/// Why a message was not handed in: exit code 100.
package enum SubmissionError: Error, Equatable {
    /// A field that says whom the message is from cannot be read.
    case field([UInt8])
    /// An address of the command line cannot be read.
    case address([UInt8])
}
