private import CPosix
private import Glibc

/// What this process was started with, as bytes: names and addresses need not be UTF-8. Unlike `CommandLine` it needs no /proc.
package enum ProcessStrings {
    /// With argv[0].
    package static var arguments: [[UInt8]] { strings(martlet_arguments()) }

    /// `NAME=value`, as it is now.
    package static var environment: [[UInt8]] { strings(martlet_environment()) }

    private static func strings(_ first: UnsafePointer<UnsafeMutablePointer<CChar>?>?) -> [[UInt8]] {
        var result: [[UInt8]] = []
        var next = first
        while let strings = next, let string = strings.pointee {
            result.append(Array(UnsafeRawBufferPointer(start: string, count: strlen(string))))
            next = strings.advanced(by: 1)
        }
        return result
    }
}
