// swift-tools-version: 6.2
// One line a target. The floor is the folder; the order here is the order of design: a target depends only on floors below its own.
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error), .enableUpcomingFeature("InternalImportsByDefault")]

/// A C shim: declarations in `include/`, no logic that Swift could hold.
func shim(_ name: String) -> Target { .target(name: name, path: "Sources/Ground/\(name)") }

func module(_ floor: String, _ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(floor)/\(name)", swiftSettings: strict)
}

/// Programs carry the Swift runtime with them, so that a small command starts in a millisecond and an installation is a few files. The runtime's C++
/// library is linked in too where the Makefile has laid it ready: as a shared library it doubles the time to start (docs/decisions/0014).
func program(_ name: String, _ dependencies: [Target.Dependency], links: [LinkerSetting] = [.unsafeFlags(carryingRuntime)]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: "Sources/Commands/\(name)", swiftSettings: strict, linkerSettings: links)
}

let carryingRuntime = [
    "-static-stdlib", "-Xclang-linker", "-L\(Context.packageDirectory)/.build/archives", "-Xclang-linker", "-static-libgcc", "-Xlinker",
    "--no-export-dynamic",
]

/// Nothing shared at all, still at random addresses: for what is started for each message, and asks for no account, host or plug-in of the C library.
let carryingAll = [
    "-static-executable", "-Xclang-linker", "-static-pie", "-Xclang-linker", "--ld-path=\(Context.packageDirectory)/Tools/link-static", "-Xlinker",
    "--pack-dyn-relocs=relr",
]

/// What the static FoundationEssentials, which ArgumentParser uses, does not name itself; a linker that keeps silent about its unused parts.
let foundation: [LinkerSetting] = ["_FoundationCollections", "_FoundationCShims", "swiftSynchronization"].map { .linkedLibrary($0) } + [.unsafeFlags(carryingRuntime + ["-use-ld=lld"])]

/// What the whole static Foundation, which GRDB uses, does not name itself.
let wholeFoundation = ["CoreFoundation", "_FoundationICU", "FoundationInternationalization"].map { LinkerSetting.linkedLibrary($0) } + foundation

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: strict)
}

func nio(_ name: String) -> Target.Dependency { .product(name: name, package: "swift-nio") }
let nioTLS = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
func crypto(_ name: String) -> Target.Dependency { .product(name: name, package: "swift-crypto") }
let certificates = Target.Dependency.product(name: "X509", package: "swift-certificates")
let database = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")

let package = Package(
    name: "martlet",
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.100.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    ],
    targets: [
        // Ground: bytes and the operating system.
        shim("CBytes"),
        shim("CPosix"),
        shim("CUnbound"),
        module("Ground", "Bytes", ["CBytes"]),
        module("Ground", "Posix", ["Bytes", "CPosix"]),
        module("Ground", "ControlFiles", ["Bytes", "Posix"]),
        module("Ground", "Manuals"),
        module("Ground", "CDB", ["Bytes", "Posix"]),

        // Formats: pure values.
        module("Formats", "Addresses", ["Bytes"]),
        module("Formats", "Dates", ["Bytes"]),
        module("Formats", "Bounces", ["Addresses", "Bytes", "Dates"]),
        module("Formats", "MessageHeader", ["Addresses", "Bytes", "Dates"]),
        module("Formats", "ConnectionRules", ["Addresses", "Bytes"]),
        module("Formats", "QmailQueueFormat", ["Bytes"]),
        module("Formats", "WireContent", ["Bytes"]),
        module("Formats", "Netstrings", ["Bytes"]),
        module("Formats", "ProxyProtocol", ["Addresses", "Bytes"]),
        module("Formats", "Checkpassword", ["Bytes"]),

        // Protocols: pure machines and wire formats.
        module("Protocols", "Frames", ["Bytes", "Addresses"]),
        module("Protocols", "Reception", ["Addresses", "Bytes", "Dates"]),
        module("Protocols", "SMTPServer", ["Addresses", "Bytes", "MessageHeader", "Reception", "WireContent"]),
        module("Protocols", "SMTPClient", ["Addresses", "Bytes", "WireContent"]),
        module("Protocols", "QMTP", ["Addresses", "Bytes", "Netstrings", "Reception", "WireContent"]),
        module("Protocols", "QMQP", ["Addresses", "Bytes", "Netstrings", "Reception"]),
        module("Protocols", "POP3", ["Bytes", "Checkpassword", "WireContent"]),
        module("Protocols", "SASL", ["Bytes", crypto("Crypto")]),
        module("Protocols", "Schedule", ["Addresses"]),
        module("Protocols", "JournalFormat", ["Addresses", "Bytes"]),

        // Services.
        module("Services", "Boundaries", ["Posix", "CPosix", "Frames"]),
        module("Services", "FrameChannels", ["Bytes", "Frames", nio("NIOCore"), nio("NIOPosix")]),
        module("Services", "ClientConnections", ["Addresses", "ConnectionRules", "Posix", "ProxyProtocol", nio("NIOCore"), nio("NIOPosix")]),
        module("Services", "Injection", ["Addresses", "Boundaries", "Bytes", "CPosix", "Frames", "Posix"]),
        module("Services", "QueueAdministration", ["Boundaries", "Frames", "Posix"]),
        module("Services", "Accounts", ["Addresses", "Bytes", "CDB", "Posix"]),
        module("Services", "LoginAdministration", ["Boundaries", "Frames", "Posix"]),
        module("Services", "SMTPReception", ["Accounts", "Addresses", "Bytes", "CDB", "ControlFiles", "Posix", "Reception", "SMTPServer"]),
        module("Services", "Resolver", ["Addresses", "Bytes", "ControlFiles", "CUnbound", "Frames", "Posix"]),
        module("Services", "Routing", ["Accounts", "Addresses", "Bytes", "CDB", "ControlFiles", "Frames", "Posix"]),
        module("Services", "MailboxStorage", ["Addresses", "Bytes", "CPosix", "Posix"]),
        module("Services", "LocalDelivery", ["Addresses", "Bytes", "CPosix", "Dates", "Frames", "Injection", "MailboxStorage", "Posix"]),
        module("Services", "RemoteDelivery", ["Addresses", "Bytes", "ControlFiles", "Frames", "Posix", "SMTPClient"]),
        module("Services", "ExchangerLookup", ["Addresses", "Bytes", "ControlFiles", "Frames", "Posix", "RemoteDelivery", "Resolver"]),
        module("Services", "Storage", ["Bytes", "Posix"]),
        module("Services", "Journal", ["Addresses", "Bytes", "JournalFormat", "Storage"]),
        module("Services", "QueueStore", ["Addresses", "Bytes", "ControlFiles", "CPosix", "Journal", "JournalFormat", "Posix", "Storage"]),
        module("Services", "ServerTLS", ["Boundaries", "Bytes", "ControlFiles", "FrameChannels", "Frames", "Posix", "Reception", nio("NIOCore"), nio("NIOTLS"), nioTLS]),
        module("Services", "Logins", ["Addresses", "Boundaries", "ConnectionRules", "ControlFiles", "FrameChannels", "Frames", "Posix", "SASL", nio("NIOCore")]),
        module("Services", "ClientTLS", ["ControlFiles", "Posix", "ServerTLS", nio("NIOCore"), nio("NIOTLS"), nioTLS, certificates]),
        module("Services", "AccountAdministration", ["Accounts", "Addresses", "Bytes", "CDB", "CPosix", "Posix", "SASL", database]),
        module("Services", "Authentication", ["Accounts", "Addresses", "Bytes", "CDB", "Checkpassword", "ControlFiles", "CPosix", "Frames", "Posix", "Routing", "SASL", crypto("Crypto")]),
        module("Services", "QmailImport", ["Addresses", "Bytes", "CDB", "ControlFiles", "CPosix", "Journal", "JournalFormat", "Posix", "QmailQueueFormat", "QueueStore", "RemoteDelivery", "Routing", "Storage"]),

        // Roles.
        module("Roles", "RoleContext", ["Bytes", "CPosix", "Posix"]),
        module("Roles", "QueueRole", ["Addresses", "Boundaries", "Bounces", "Bytes", "ControlFiles", "CPosix", "Dates", "Frames", "Journal", "JournalFormat", "Posix", "QueueStore", "RoleContext", "Routing", "Schedule", "Storage"]),
        module("Roles", "RouteRole", ["Accounts", "Addresses", "Boundaries", "Bytes", "ControlFiles", "Frames", "Posix", "RoleContext", "Routing"]),
        module("Roles", "DNSRole", ["Addresses", "Boundaries", "Bytes", "ControlFiles", "Frames", "Posix", "Resolver", "RoleContext"]),
        module("Roles", "SMTPDRole", ["Addresses", "Boundaries", "Bytes", "ClientConnections", "ConnectionRules", "ControlFiles", "Dates", "FrameChannels", "Frames", "Logins", "MessageHeader", "Posix", "ProxyProtocol", "QMQP", "QMTP", "Reception", "RoleContext", "SASL", "SMTPReception", "SMTPServer", "ServerTLS", nio("NIOCore"), nio("NIOPosix")]),
        module("Roles", "KeysRole", ["Boundaries", "Bytes", "ControlFiles", "CPosix", "Frames", "Posix", "RoleContext", crypto("Crypto"), crypto("CryptoExtras"), certificates]),
        module("Roles", "AuthRole", ["Accounts", "Addresses", "Authentication", "Boundaries", "Bytes", "ControlFiles", "Frames", "Logins", "Posix", "RoleContext", "Routing", "SASL"]),
        module("Roles", "AccessRole", ["Addresses", "Boundaries", "Bytes", "ClientConnections", "ConnectionRules", "ControlFiles", "CPosix", "FrameChannels", "Frames", "Logins", "POP3", "Posix", "RoleContext", "SASL", "ServerTLS", nio("NIOCore"), nio("NIOPosix"), nioTLS]),
        module("Roles", "RemoteRole", ["Addresses", "Boundaries", "Bytes", "ClientTLS", "ControlFiles", "CPosix", "Frames", "Posix", "RemoteDelivery", "RoleContext", "SASL", "SMTPClient", certificates, nio("NIOCore"), nio("NIOPosix"), nioTLS]),
        module("Roles", "Supervisor", ["Boundaries", "Bytes", "ControlFiles", "CPosix", "Posix", "RoleContext"]),

        // Commands.
        module("Commands", "QmailCommands", ["Addresses", "Boundaries", "Bytes", "CDB", "Checkpassword", "ControlFiles", "CPosix", "Dates", "ExchangerLookup", "Frames", "Injection", "LocalDelivery", "MailboxStorage", "Manuals", "MessageHeader", "POP3", "Posix", "QMQP", "QMTP", "QueueAdministration", "Reception", "RemoteDelivery", "Resolver", "Routing", "SMTPClient", "SMTPReception", "SMTPServer"]),
        module("Commands", "MartletCommands", ["AccountAdministration", "Accounts", "Addresses", "Bytes", "ControlFiles", "CPosix", "Dates", "ExchangerLookup", "Frames", "Injection", "LoginAdministration", "Posix", "QmailImport", "QueueAdministration", "RemoteDelivery", "Routing", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
        program("qmail", ["QmailCommands"]),
        program("qmail-inject", ["QmailCommands"], links: [.unsafeFlags(carryingAll)]),
        program("martlet", ["MartletCommands"], links: wholeFoundation),
        program("martlet-tls", ["Boundaries", "Bytes", "CPosix", "Manuals", "Posix", "Reception", "ServerTLS", nio("NIOCore"), nio("NIOPosix")], links: foundation),
        program("martletd", ["KeysRole", "AuthRole", "AccessRole", "QueueRole", "RouteRole", "DNSRole", "SMTPDRole", "RemoteRole", "RoleContext", "Supervisor", "Manuals", "Posix"], links: foundation),

        // Tests.
        .target(name: "TemporaryFolder", dependencies: ["Posix"], path: "Tests/TemporaryFolder", swiftSettings: strict),
        tests("GroundTests", ["Bytes", "CDB", "ControlFiles", "Posix", "TemporaryFolder"]),
        tests("FormatsTests", ["Addresses", "Bounces", "Bytes", "Checkpassword", "ConnectionRules", "Dates", "MessageHeader", "ProxyProtocol", "QmailQueueFormat"]),
        tests("FramesTests", ["Addresses", "Bytes", "Frames"]),
        tests("SMTPServerTests", ["Addresses", "Bytes", "MessageHeader", "Reception", "Routing", "SMTPClient", "SMTPServer", "WireContent"]),
        tests("FrameChannelsTests", ["Bytes", "FrameChannels", "Frames", nio("NIOCore"), nio("NIOPosix")]),
        tests("SMTPClientTests", ["Addresses", "Bytes", "SMTPClient", "WireContent"]),
        tests("QMTPTests", ["Addresses", "Bytes", "Netstrings", "QMQP", "QMTP", "Reception"]),
        tests("POP3Tests", ["Bytes", "Checkpassword", "POP3"]),
        tests("SASLTests", ["Bytes", "SASL"]),
        tests("AuthenticationTests", ["Accounts", "Addresses", "Authentication", "Bytes", "CDB", "ControlFiles", "Frames", "Posix", "SASL", "TemporaryFolder"]),
        tests("ResolverTests", ["Addresses", "Bytes", "Frames", "Resolver"]),
        tests("RemoteDeliveryTests", ["Addresses", "Bytes", "ControlFiles", "Frames", "Posix", "RemoteDelivery", "SMTPClient", "TemporaryFolder"]),
        tests("ScheduleTests", ["Addresses", "Schedule"]),
        .target(name: "SimulatedDisk", dependencies: ["Posix", "Storage"], path: "Tests/SimulatedDisk", swiftSettings: strict),
        tests("JournalTests", ["Addresses", "Bytes", "Journal", "JournalFormat", "Posix", "SimulatedDisk", "Storage"]),
        tests("QueueStoreTests", ["Addresses", "Bytes", "Journal", "JournalFormat", "Posix", "QueueStore", "SimulatedDisk", "Storage", "TemporaryFolder"]),
        tests("QmailImportTests", ["Addresses", "Bytes", "Journal", "JournalFormat", "Posix", "QmailImport", "QueueStore", "SimulatedDisk", "Storage", "TemporaryFolder"]),
        tests("RoutingTests", ["Accounts", "Addresses", "Bytes", "CDB", "ControlFiles", "Frames", "Routing", "TemporaryFolder"]),
        tests("AccountsTests", ["Accounts", "Addresses", "Bytes", "CDB", "TemporaryFolder"]),
        tests("LocalDeliveryTests", ["Addresses", "Bytes", "Frames", "LocalDelivery", "MailboxStorage", "Posix", "TemporaryFolder"]),
        tests("CommandsTests", ["Addresses", "Bytes", "CDB", "CPosix", "Frames", "Injection", "Manuals", "MessageHeader", "Posix", "QmailCommands"]),
        tests("QueueRoleTests", ["Addresses", "Bounces", "Bytes", "Frames", "JournalFormat", "QueueRole", "Routing"]),
        tests("SupervisorTests", ["RoleContext", "Supervisor"]),
    ]
)
