private import Glibc

/// How many deliveries the descriptors of this process allow: each holds one for its message, and one for its connection or two for
/// the program in our place.
enum DescriptorBudget {
    /// For everything else: loops, other roles, connections that are kept.
    private static let reserved = 264
    private static let perDelivery = 3

    /// Raises the limit as far as it goes, and counts.
    static func deliveries() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1 }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return max(1, (Int(clamping: limit.rlim_cur) - reserved) / perDelivery)
    }
}
