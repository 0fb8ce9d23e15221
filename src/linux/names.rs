//! How host names are looked up.

/// Has host names looked up in `/etc/hosts` and by the DNS servers of `/etc/resolv.conf`, which glibc does by itself. For what
/// else `/etc/nsswitch.conf` may name it would load the machine's own libraries into this static program, with another C
/// library beneath them.
pub fn use_files_and_dns() {
    #[cfg(target_env = "gnu")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        unsafe extern "C" {
            /// `<nss.h>` of glibc.
            fn __nss_configure_lookup(database: *const libc::c_char, service: *const libc::c_char) -> libc::c_int;
        }
        ONCE.call_once(|| {
            // SAFETY: two C strings that live for ever; called before this process looks up a name.
            let result = unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
            if result != 0 {
                tracing::warn!(
                    "host names are looked up as /etc/nsswitch.conf says: {}",
                    std::io::Error::last_os_error()
                );
            }
        });
    }
}
