FROM registry.fedoraproject.org/fedora:40
LABEL com.github.containers.toolbox="true" \
      name="fedora-tools" \
      version="40" \
      summary="Image for interactive work" \
      maintainer="Someone <someone@example.org>"
COPY README.md /
RUN rm -f /etc/rpm/macros.image-language-conf \
 && sed -i '/tsflags=nodocs/d' /etc/dnf/dnf.conf
RUN dnf -y swap coreutils-single coreutils-full \
 && dnf -y swap glibc-minimal-langpack glibc-all-langpacks
COPY extra-packages /
RUN dnf -y install $(<extra-packages) && rm /extra-packages && dnf clean all
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN for f in bash gawk "gnupg2-smime"; do \
      rpm -q "$f" || { echo "missing: $f" >&2; exit 1; }; \
    done
CMD ["/bin/sh"]
