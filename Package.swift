// swift-tools-version: 6.2
// One line a target. The floor is the folder; the order here is the order of design: a target depends only on floors below its own.
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error), .enableUpcomingFeature("InternalImportsByDefault")]

/// A C shim: declarations in `include/`, no logic that Swift could hold.
func shim(_ name: String, links: [LinkerSetting] = []) -> Target {
    .target(name: name, path: "Sources/Ground/\(name)", linkerSettings: links)
}

func module(_ floor: String, _ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(floor)/\(name)", swiftSettings: strict)
}

/// Programs carry the Swift runtime with them, so that a small command starts in milliseconds and an installation is a few files.
func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: "Sources/Commands/\(name)", swiftSettings: strict,
        linkerSettings: [.unsafeFlags(["-static-stdlib"])])
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: strict)
}

let package = Package(
    name: "martlet",
    dependencies: [],
    targets: [
        // Ground: bytes and the operating system.
        shim("CBytes"),
        shim("CPosix"),
        module("Ground", "Bytes", ["CBytes"]),
        module("Ground", "Posix", ["Bytes", "CPosix"]),

        // Formats: pure values.
        module("Formats", "Addresses", ["Bytes"]),

        // Protocols: pure machines and wire formats.
        module("Protocols", "Frames", ["Bytes", "Addresses"]),

        // Services.
        module("Services", "Boundaries", ["Posix", "CPosix", "Frames"]),

        // Roles.
        module("Roles", "RoleContext"),

        // Commands.

        // Tests.
        tests("GroundTests", ["Bytes", "Posix"]),
    ]
)
