FROM a
RUN cat <<<EOF
RUN echo "<<EOF"
RUN echo '<<EOF'
RUN echo \<\<EOF
RUN a<<EOF
RUN echo $((1<<2))
CMD <<EOF
ENV A=<<EOF
