# Stands for postgres: Debian's server, with the data where version 18 of that image has them.
FROM debian:tests
RUN usermod --uid 999 postgres && groupmod --gid 999 postgres \
    && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql /var/run/postgresql \
    && rm -rf /var/lib/postgresql/* && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ -f
ENV PGDATA=/var/lib/postgresql/18/docker
COPY --chmod=755 postgres-start /usr/local/bin/postgres-start
ENTRYPOINT ["postgres-start"]
STOPSIGNAL SIGINT
CMD ["postgres"]
